#include "location/rados/librados_store.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "location/rados/cluster.h"
#include "location/unique_fd.h"

namespace holdfast::location::rados {
namespace {

constexpr std::size_t kEntriesAtOnce = 1000;  // an OSD gives 1,024 at the most (osd_max_omap_entries_per_request)
constexpr std::uint64_t kNotifyBound = 1000;  // ms, in which librados sees whole seconds only
constexpr Duration kWatchAgain = std::chrono::milliseconds(500);
constexpr Duration kEndBound = std::chrono::milliseconds(500);
constexpr std::uint32_t kWatchTimeout = 30;  // s
constexpr unsigned kShutOutFor = 3600;       // s: longer than any client's operation lives

Outcome outcome_of(int result) {
  if (result >= 0) return Outcome::kDone;
  switch (-result) {
    case ENOENT:
      return Outcome::kAbsent;
    case EEXIST:
      return Outcome::kExists;
    case ECANCELED:
      return Outcome::kGuard;
    case ETIMEDOUT:
      return Outcome::kUnknown;
    case ENOSPC:
    case EDQUOT:
      return Outcome::kFull;
    case ESHUTDOWN:
      return Outcome::kShutOut;
    default:
      return Outcome::kFailed;
  }
}

// What has ended, from librados' threads to ours. Lives until the last operation has ended, which may be after the
// store.
struct Inbox {
  std::mutex mutex;
  std::vector<struct Operation*> ended;
  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::atomic<bool> notified{false};

  void wake() const {
    const std::uint64_t one = 1;
    (void)!::write(event.get(), &one, sizeof one);
  }
};

struct Operation {
  const Librados& api;
  std::shared_ptr<Inbox> inbox;
  std::uint64_t tag = 0;
  std::string object;
  rados_completion_t completion = nullptr;
  rados_write_op_t write = nullptr;
  rados_read_op_t read = nullptr;
  ObjectRead wanted;
  // Of a read.
  rados_xattrs_iter_t attributes = nullptr;
  rados_omap_iter_t entries = nullptr;
  unsigned char more = 0;
  char* replies = nullptr;  // to a notification
  std::size_t replies_size = 0;
  std::size_t length = 0;
  int part_results[3] = {};
  Finished finished;

  Operation(const Librados& librados, std::shared_ptr<Inbox> box, std::uint64_t number, std::string name)
      : api(librados), inbox(std::move(box)), tag(number), object(std::move(name)) {}
  ~Operation() { clear(); }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  void clear() {
    if (attributes != nullptr) api.getxattrs_end(std::exchange(attributes, nullptr));
    if (entries != nullptr) api.omap_get_end(std::exchange(entries, nullptr));
    if (replies != nullptr) api.buffer_free(std::exchange(replies, nullptr));
    if (write != nullptr) api.release_write_op(std::exchange(write, nullptr));
    if (read != nullptr) api.release_read_op(std::exchange(read, nullptr));
    if (completion != nullptr) api.aio_release(std::exchange(completion, nullptr));
  }
};

// On a thread of librados.
void ended(rados_completion_t /*completion*/, void* argument) {
  auto* const operation = static_cast<Operation*>(argument);
  const std::shared_ptr<Inbox> inbox = operation->inbox;
  bool first = false;
  {
    const std::scoped_lock lock(inbox->mutex);
    first = inbox->ended.empty();
    inbox->ended.push_back(operation);
  }
  if (first) inbox->wake();
}

// An object that is looked at. Lives until librados cannot call back any more.
struct Watch {
  Watch(const Librados& librados, rados_ioctx_t pool, std::shared_ptr<Inbox> box, std::string name)
      : api(librados), io(pool), inbox(std::move(box)), object(std::move(name)) {}

  const Librados& api;
  const rados_ioctx_t io;
  const std::shared_ptr<Inbox> inbox;
  const std::string object;
  std::uint64_t handle = 0;
  std::atomic<bool> lost{false};
  std::mutex mutex;
  std::string as;  // what we look as

  void look_as(const std::string& text) {
    const std::scoped_lock lock(mutex);
    as = text;
  }

  // On threads of librados.
  static void told(void* self, std::uint64_t id, std::uint64_t cookie, std::uint64_t, void*, std::size_t) {
    auto* const watch = static_cast<Watch*>(self);
    {
      const std::scoped_lock lock(watch->mutex);
      watch->api.notify_ack(watch->io, watch->object.c_str(), id, cookie, watch->as.data(),
                            static_cast<int>(watch->as.size()));
    }
    watch->inbox->notified = true;
    watch->inbox->wake();
  }
  static void was_lost(void* self, std::uint64_t, int) {
    auto* const watch = static_cast<Watch*>(self);
    watch->lost = true;
    watch->inbox->wake();
  }
};

class LibradosStore final : public ObjectStore {
 public:
  LibradosStore(std::unique_ptr<Cluster> cluster, Ring& ring)
      : cluster_(std::move(cluster)),
        api_(cluster_->api()),
        ring_(ring),
        timer_(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)),
        something_ended_(ring, inbox_->event.get(), POLLIN),
        time_is_up_(ring, timer_.get(), POLLIN) {}

  ~LibradosStore() override {
    stopping_ = true;
    for (Operation* operation : on_their_way_) api_.aio_cancel(cluster_->io(), operation->completion);
    unwatch();
    const Time bound = now() + kEndBound;
    while (!on_their_way_.empty() && now() < bound) {
      collect();
      if (!on_their_way_.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    // What librados does not let go of may still call back: then its handle stays.
    if (!on_their_way_.empty()) {
      (void)cluster_.release();
      for (auto& watch : watches_) (void)watch.release();
    } else if (!watches_.empty()) {
      api_.watch_flush(cluster_->handle());
    }
  }

  void submit(std::uint64_t tag, const ObjectWrite& write) override {
    auto* const operation = new Operation(api_, inbox_, tag, write.object);
    auto* const op = operation->write = api_.create_write_op();
    const auto guard = [&](std::uint8_t comparison, std::uint64_t epoch) {
      const std::string text = encode_epoch(epoch);
      api_.write_op_cmpxattr(op, kAttributeEpoch, comparison, text.data(), text.size());
    };
    if (write.existence == ObjectWrite::Existence::kNew) {
      api_.write_op_create(op, LIBRADOS_CREATE_EXCLUSIVE, nullptr);
    } else {
      api_.write_op_assert_exists(op);
    }
    if (write.epoch) guard(LIBRADOS_CMPXATTR_OP_EQ, *write.epoch);
    // The given value on the left: this one is not below the object's.
    if (write.epoch_at_most) guard(LIBRADOS_CMPXATTR_OP_GTE, *write.epoch_at_most);
    for (const auto& [name, value] : write.unchanged) {
      api_.write_op_cmpxattr(op, name.c_str(), LIBRADOS_CMPXATTR_OP_EQ, value.data(), value.size());
    }
    for (const auto& [name, value] : write.attributes) {
      api_.write_op_setxattr(op, name.c_str(), value.data(), value.size());
    }
    for (const auto& [key, value] : write.entries) {
      const char* const keys[] = {key.data()};
      const char* const values[] = {reinterpret_cast<const char*>(value.data())};
      const std::size_t key_sizes[] = {key.size()}, value_sizes[] = {value.size()};
      api_.write_op_omap_set2(op, keys, values, key_sizes, value_sizes, 1);
    }
    for (const std::string& key : write.dropped_entries) {
      const char* const keys[] = {key.data()};
      const std::size_t sizes[] = {key.size()};
      api_.write_op_omap_rm_keys2(op, keys, sizes, 1);
    }
    if (write.clear) api_.write_op_truncate(op, 0);
    if (write.size) {
      api_.write_op_set_alloc_hint(op, *write.size, 0);
      api_.write_op_truncate(op, *write.size);
    }
    if (!write.data.empty()) {
      api_.write_op_write(op, reinterpret_cast<const char*>(write.data.data()), write.data.size(), write.offset);
    }
    if (write.remove) api_.write_op_remove(op);
    begin(operation, [&](rados_completion_t completion) {
      return api_.aio_write_op_operate(op, cluster_->io(), completion, operation->object.c_str(), nullptr,
                                       LIBRADOS_OPERATION_FULL_TRY);
    });
  }

  void submit(std::uint64_t tag, const ObjectRead& read) override {
    auto* const operation = new Operation(api_, inbox_, tag, read.object);
    operation->wanted = read;
    begin_read(operation, std::string());
  }

  std::vector<Finished> take() override {
    collect();
    return std::exchange(finished_, {});
  }

  void wait(Time until) override {
    collect();
    if (!finished_.empty()) return;
    arm();
    ring_.wait(until == kNever ? Duration::max() : until - now());
  }

  Time now() const override {
    timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    return Time(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  }

  void wake_at(Time when) override {
    arm();
    if (when == wake_at_) return;
    wake_at_ = when;
    itimerspec at{};  // all zeros: never
    if (when != kNever) {
      const auto ns = std::max<std::int64_t>(when.time_since_epoch().count(), 1);
      at.it_value = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    }
    ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &at, nullptr);
  }

  std::string client_address() const override { return cluster_->own_address(); }
  void shut_out(const std::string& client) override { cluster_->shut_out(client, kShutOutFor); }

  void notify(const std::string& object) override {
    auto* const operation = new Operation(api_, inbox_, kNoTag, object);
    begin(operation, [&](rados_completion_t completion) {
      return api_.aio_notify(cluster_->io(), operation->object.c_str(), completion, "", 0, kNotifyBound, nullptr,
                             nullptr);
    });
  }

  void look_at(const std::string& object, const std::string& as) override {
    watched_ = object;
    look_as_ = as;
    if (watch_ != nullptr) return watch_->look_as(as);
    watch();
  }
  bool notified() override { return inbox_->notified.exchange(false); }

  void ask_lookers(std::uint64_t tag, const std::string& object) override {
    auto* const operation = new Operation(api_, inbox_, tag, object);
    begin(operation, [&](rados_completion_t completion) {
      return api_.aio_notify(cluster_->io(), operation->object.c_str(), completion, "", 0, kNotifyBound,
                             &operation->replies, &operation->replies_size);
    });
  }

 private:
  static constexpr std::uint64_t kNoTag = ~std::uint64_t{0};
  static constexpr std::uint64_t kWatchTag = kNoTag - 1;

  void watch() {
    watches_.push_back(std::make_unique<Watch>(api_, cluster_->io(), inbox_, watched_));
    watch_ = watches_.back().get();
    watch_->as = look_as_;
    auto* const operation = new Operation(api_, inbox_, kWatchTag, watched_);
    begin(operation, [&](rados_completion_t completion) {
      return api_.aio_watch2(cluster_->io(), watch_->object.c_str(), completion, &watch_->handle, Watch::told,
                             Watch::was_lost, kWatchTimeout, watch_);
    });
  }
  void unwatch() {
    if (watch_ == nullptr || !watching_) return;
    auto* const operation = new Operation(api_, inbox_, kNoTag, watched_);
    begin(operation,
          [&](rados_completion_t completion) { return api_.aio_unwatch(cluster_->io(), watch_->handle, completion); });
    watching_ = false;
  }
  // The cluster may have lost it, or refused it (there is no such object yet).
  void watch_over() {
    if (watched_.empty() || stopping_ || now() < watch_again_) return;
    if (watch_ != nullptr && watching_ && watch_->lost) {
      unwatch();
      watch_ = nullptr;
    }
    if (watch_ == nullptr) watch();
  }
  void watch_ended(int result) {
    watching_ = result >= 0;
    watch_again_ = now() + kWatchAgain;
    if (!watching_) {
      watch_ = nullptr;
      if (result == -ENOENT) watches_.pop_back();  // it never was one
    } else {
      inbox_->notified = true;  // something may have been missed
    }
  }

  template <class Submit>
  void begin(Operation* operation, Submit&& submit) {
    const int made = api_.aio_create_completion2(operation, ended, &operation->completion);
    HF_ASSERT(made == 0);
    on_their_way_.push_back(operation);
    const int result = submit(operation->completion);
    if (result < 0) {
      // Not begun: no callback comes.
      std::erase(on_their_way_, operation);
      done(operation, result);
    }
    arm();
  }

  void begin_read(Operation* operation, const std::string& after) {
    const ObjectRead& read = operation->wanted;
    auto* const op = operation->read = api_.create_read_op();
    api_.read_op_assert_exists(op);
    if (read.attributes && after.empty()) {
      api_.read_op_getxattrs(op, &operation->attributes, &operation->part_results[0]);
    }
    if (read.entries) {
      api_.read_op_omap_get_vals2(op, after.c_str(), "", kEntriesAtOnce, &operation->entries, &operation->more,
                                  &operation->part_results[1]);
    }
    if (read.length > 0) {
      operation->finished.data.resize(read.length);
      api_.read_op_read(op, read.offset, read.length, reinterpret_cast<char*>(operation->finished.data.data()),
                        &operation->length, &operation->part_results[2]);
    }
    begin(operation, [&](rados_completion_t completion) {
      return api_.aio_read_op_operate(op, cluster_->io(), completion, operation->object.c_str(), 0);
    });
  }

  void collect() {
    arm();
    watch_over();
    std::vector<Operation*> operations;
    {
      const std::scoped_lock lock(inbox_->mutex);
      operations.swap(inbox_->ended);
    }
    for (Operation* operation : operations) {
      std::erase(on_their_way_, operation);
      int result = api_.aio_get_return_value(operation->completion);
      if (operation->read != nullptr) {
        for (const int part : operation->part_results) {
          if (result >= 0 && part < 0) result = part;
        }
        if (result >= 0 && read_on(operation)) continue;
      }
      done(operation, result);
    }
  }

  // True where there is more to read.
  bool read_on(Operation* operation) {
    Finished& finished = operation->finished;
    if (operation->attributes != nullptr) {
      const char *name = nullptr, *value = nullptr;
      std::size_t size = 0;
      while (api_.getxattrs_next(operation->attributes, &name, &value, &size) == 0 && name != nullptr) {
        finished.attributes[name] = std::string(value == nullptr ? "" : value, value == nullptr ? 0 : size);
      }
    }
    std::string last;
    if (operation->entries != nullptr) {
      char *key = nullptr, *value = nullptr;
      std::size_t key_size = 0, value_size = 0;
      while (api_.omap_get_next2(operation->entries, &key, &value, &key_size, &value_size) == 0 && key != nullptr) {
        const auto* const bytes = reinterpret_cast<const std::byte*>(value);
        last.assign(key, key_size);
        finished.entries[last] = std::vector<std::byte>(bytes, bytes + value_size);
      }
    }
    if (operation->wanted.length > 0) finished.data.resize(operation->length);
    if (operation->more == 0 || last.empty()) return false;
    operation->clear();
    operation->more = 0;
    begin_read(operation, last);
    return true;
  }

  void done(Operation* operation, int result) {
    const std::unique_ptr<Operation> owner(operation);
    if (operation->tag == kNoTag || stopping_) return;
    if (operation->tag == kWatchTag) return watch_ended(result);
    Finished finished = std::move(operation->finished);
    finished.tag = operation->tag;
    finished.outcome = outcome_of(result);
    if (operation->replies != nullptr) {
      read_replies(*operation, finished);
      if (finished.outcome == Outcome::kUnknown) finished.outcome = Outcome::kDone;  // of some there is no answer
    }
    if (finished.outcome == Outcome::kFailed) {
      finished.reason = std::generic_category().message(-result);
      if (result == -EPERM || result == -EACCES) finished.reason += ": the client's capabilities do not allow it";
      if (result == -EOPNOTSUPP) finished.reason += ": the pool must be a replicated one";
    }
    finished_.push_back(std::move(finished));
  }

  // Who was notified, and what they said of themselves.
  void read_replies(const Operation& operation, Finished& finished) const {
    notify_ack_t* acks = nullptr;
    notify_timeout_t* timeouts = nullptr;
    std::size_t count = 0, late = 0;
    if (api_.decode_notify_response(operation.replies, operation.replies_size, &acks, &count, &timeouts, &late) != 0) {
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const auto name = fmt::format("{}.{}", acks[i].notifier_id, acks[i].cookie);
      finished.attributes[name] = std::string(acks[i].payload == nullptr ? "" : acks[i].payload, acks[i].payload_len);
    }
    api_.free_notify_response(acks, count, timeouts);
  }

  void arm() {
    if (stopping_) return;
    std::uint64_t count = 0;
    if (something_ended_.take()) (void)!::read(inbox_->event.get(), &count, sizeof count);
    if (time_is_up_.take()) (void)!::read(timer_.get(), &count, sizeof count);
    something_ended_.arm();
    time_is_up_.arm();
  }

  std::vector<std::unique_ptr<Watch>> watches_;  // outlive the connection: librados may call back
  std::unique_ptr<Cluster> cluster_;
  const Librados& api_;
  Ring& ring_;
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::vector<Operation*> on_their_way_;
  std::vector<Finished> finished_;
  Watch* watch_ = nullptr;  // the one that counts
  bool watching_ = false;   // it is set up
  Time watch_again_{};      // not before
  std::string watched_, look_as_;
  bool stopping_ = false;
  Time wake_at_ = kNever;
  UniqueFd timer_;
  Readiness something_ended_, time_is_up_;
};

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_store(const Address& address, Ring& ring) {
  auto cluster = Cluster::connect(address);
  if (!cluster) return std::unexpected(cluster.error());
  return make_store(*std::move(cluster), ring);
}

std::unique_ptr<ObjectStore> make_store(std::unique_ptr<Cluster> cluster, Ring& ring) {
  return std::make_unique<LibradosStore>(std::move(cluster), ring);
}

}  // namespace holdfast::location::rados
