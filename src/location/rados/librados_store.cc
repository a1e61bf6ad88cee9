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
constexpr std::uint64_t kNotifyBound = 2000;  // ms
constexpr std::uint32_t kWatchTimeout = 30;   // s
constexpr unsigned kShutOutFor = 3600;        // s: longer than any client's operation lives

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
    if (watch_ != 0) {
      api_.unwatch2(cluster_->io(), watch_);
      api_.watch_flush(cluster_->handle());
    }
    for (Operation* operation : on_their_way_) api_.aio_cancel(cluster_->io(), operation->completion);
    const Time bound = now() + std::chrono::seconds(3);
    while (!on_their_way_.empty() && now() < bound) {
      collect();
      if (!on_their_way_.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    // What librados does not let go of may still call back: then its handle stays.
    if (!on_their_way_.empty()) (void)cluster_.release();
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

  void look_at(const std::string& object) override {
    if (watch_ != 0) return;
    watched_ = object;
    const auto told = [](void* self, std::uint64_t id, std::uint64_t cookie, std::uint64_t, void*, std::size_t) {
      auto* const store = static_cast<LibradosStore*>(self);
      store->api_.notify_ack(store->cluster_->io(), store->watched_.c_str(), id, cookie, nullptr, 0);
      store->inbox_->notified = true;
      store->inbox_->wake();
    };
    const auto lost = [](void* self, std::uint64_t, int) {
      auto* const store = static_cast<LibradosStore*>(self);
      store->inbox_->notified = true;  // something may have been missed
      store->inbox_->wake();
    };
    if (api_.watch3(cluster_->io(), watched_.c_str(), &watch_, told, lost, kWatchTimeout, this) != 0) watch_ = 0;
  }
  bool notified() override { return inbox_->notified.exchange(false); }

 private:
  static constexpr std::uint64_t kNoTag = ~std::uint64_t{0};

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
    Finished finished = std::move(operation->finished);
    finished.tag = operation->tag;
    finished.outcome = outcome_of(result);
    if (finished.outcome == Outcome::kFailed) {
      finished.reason = std::generic_category().message(-result);
      if (result == -EPERM || result == -EACCES) finished.reason += ": the client's capabilities do not allow it";
      if (result == -EOPNOTSUPP) finished.reason += ": the pool must be a replicated one";
    }
    finished_.push_back(std::move(finished));
  }

  void arm() {
    if (stopping_) return;
    std::uint64_t count = 0;
    if (something_ended_.take()) (void)!::read(inbox_->event.get(), &count, sizeof count);
    if (time_is_up_.take()) (void)!::read(timer_.get(), &count, sizeof count);
    something_ended_.arm();
    time_is_up_.arm();
  }

  std::unique_ptr<Cluster> cluster_;
  const Librados& api_;
  Ring& ring_;
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::vector<Operation*> on_their_way_;
  std::vector<Finished> finished_;
  std::uint64_t watch_ = 0;
  std::string watched_;
  bool stopping_ = false;
  Time wake_at_ = kNever;
  UniqueFd timer_;
  Readiness something_ended_, time_is_up_;
};

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_store(const Address& address, Ring& ring) {
  auto cluster = Cluster::connect(address);
  if (!cluster) return std::unexpected(cluster.error());
  return std::make_unique<LibradosStore>(*std::move(cluster), ring);
}

}  // namespace holdfast::location::rados
