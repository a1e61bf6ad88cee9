#include "location/ring.h"

#include <fmt/core.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "base/assert.h"

namespace holdfast::location {
namespace {

constexpr unsigned kTagBits = 48;
constexpr unsigned kDispatchBatch = 64;
constexpr Duration kBetweenRemovals = std::chrono::milliseconds(1);
constexpr unsigned kMaxWorkers = 256;  // four for each of 64 locations, of each kind

// From the quickest set-up to the plainest: older kernels refuse flags that they do not know.
constexpr std::array<unsigned, 3> kSetups = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
        IORING_SETUP_R_DISABLED,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    0,
};

}  // namespace

Result<std::unique_ptr<Ring>> Ring::create(unsigned entries) {
  std::unique_ptr<Ring> ring(new Ring);
  int result = -EINVAL;
  for (const unsigned flags : kSetups) {
    io_uring_params params{};
    params.flags = flags | IORING_SETUP_CLAMP;
    result = io_uring_queue_init_params(entries, &ring->ring_, &params);
    if (result == 0) {
      ring->enabled_ = (flags & IORING_SETUP_R_DISABLED) == 0;
      if (ring->enabled_) ring->allow_workers();
      ring->users_.reserve(16);
      return ring;
    }
    if (result != -EINVAL) break;
  }
  ring->ring_.ring_fd = -1;
  const std::string text = std::generic_category().message(-result);
  const char* const hint =
      result == -EPERM ? ": kernel.io_uring_disabled must be 0, and a container's seccomp profile must allow it" : "";
  return fail(Error::Kind::kUnavailable, fmt::format("io_uring is not available: {}{}", text, hint));
}

Ring::~Ring() {
  if (ring_.ring_fd < 0) return;
  for (const Slot& slot : users_) HF_ASSERT(slot.handler == nullptr);
  io_uring_queue_exit(&ring_);
}

Ring::User Ring::add(Handler& handler) {
  const auto unused = std::ranges::find_if(users_, [](const Slot& slot) { return slot.handler == nullptr; });
  if (unused != users_.end()) {
    unused->handler = &handler;
    return static_cast<User>(unused - users_.begin());
  }
  HF_ASSERT(users_.size() < UINT16_MAX);
  users_.push_back({&handler, 0});
  return static_cast<User>(users_.size() - 1);
}

void Ring::remove(User user) {
  HF_ASSERT(users_[user].outstanding == 0);
  users_[user].handler = nullptr;
}

// A ring is born disabled so that it may be made in one thread and used in another: the one that enables it owns it.
void Ring::enable() {
  if (enabled_) return;
  // Not io_uring_enable_rings(): liburing 2.3 declares it and does not export it.
  HF_ASSERT(::syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
  enabled_ = true;
  (void)io_uring_register_ring_fd(&ring_);  // spares a look-up in each call; never needed
  allow_workers();
}

void Ring::allow_workers() {
  // By default a few workers for each processor serve all: the operations of one device that hangs would take them, and
  // those of healthy ones wait behind. Threads are made only when they are needed.
  std::array<unsigned, 2> workers = {kMaxWorkers, kMaxWorkers};
  (void)io_uring_register_iowq_max_workers(&ring_, workers.data());
}

io_uring_sqe* Ring::next_entry() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) {
    submit();
    sqe = io_uring_get_sqe(&ring_);
  }
  HF_ASSERT(sqe != nullptr);
  return sqe;
}

void Ring::label(io_uring_sqe* sqe, User user, std::uint64_t tag) {
  HF_ASSERT(tag <= kMaxTag && users_[user].handler != nullptr);
  ++users_[user].outstanding;
  io_uring_sqe_set_data64(sqe, (std::uint64_t{user} << kTagBits) | tag);
}

void Ring::submit() {
  enable();
  while (io_uring_sq_ready(&ring_) > 0) {
    ++submissions_;
    const int result = io_uring_submit(&ring_);
    if (result >= 0) continue;
    // EBUSY: completions have piled up beyond the queue's size; reaping moves them. EAGAIN: the kernel is short of
    // memory.
    HF_ASSERT(result == -EINTR || result == -EAGAIN || result == -EBUSY);
    if (result == -EBUSY && dispatch() == 0) break;
  }
}

unsigned Ring::dispatch() {
  if (dispatching_) return 0;
  dispatching_ = true;
  unsigned total = 0;
  std::array<io_uring_cqe*, kDispatchBatch> batch;
  struct Ended {
    std::uint64_t user_data;
    std::int32_t result;
    std::uint32_t flags;
  };
  std::array<Ended, kDispatchBatch> ended;
  for (;;) {
    const unsigned count = io_uring_peek_batch_cqe(&ring_, batch.data(), kDispatchBatch);
    if (count == 0) break;
    // Copied first: a handler may queue operations, and that may have to submit.
    for (unsigned i = 0; i < count; ++i) ended[i] = {batch[i]->user_data, batch[i]->res, batch[i]->flags};
    io_uring_cq_advance(&ring_, count);
    for (unsigned i = 0; i < count; ++i) {
      Slot& slot = users_[ended[i].user_data >> kTagBits];
      if ((ended[i].flags & IORING_CQE_F_MORE) == 0) --slot.outstanding;
      slot.handler->on_completion(ended[i].user_data & kMaxTag, ended[i].result, ended[i].flags);
    }
    total += count;
    if (count < kDispatchBatch) break;
  }
  dispatching_ = false;
  return total;
}

unsigned Ring::poll() {
  submit();
  return dispatch();
}

unsigned Ring::wait(Duration at_most) {
  if (dispatching_) return 0;
  if (at_most <= Duration::zero()) return poll();
  if (io_uring_cq_ready(&ring_) > 0) return poll();
  enable();
  __kernel_timespec limit{};
  const bool limited = at_most != Duration::max();
  if (limited) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at_most);
    limit.tv_sec = seconds.count();
    limit.tv_nsec = (at_most - seconds).count();
  }
  ++submissions_;
  io_uring_cqe* cqe = nullptr;
  const int result = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, limited ? &limit : nullptr, nullptr);
  HF_ASSERT(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY);
  return dispatch();
}

// ---- Readiness ----

Readiness::Readiness(Ring& ring, int fd, short events)
    : ring_(ring), fd_(fd), events_(events), user_(ring.add(*this)) {}

Readiness::~Readiness() {
  // A removal fails while the kernel is at waking the poll up, and that may come to nothing: a timer was set anew, say.
  while (armed_) {
    ring_.queue(user_, 1,
                [this](io_uring_sqe* sqe) { io_uring_prep_poll_remove(sqe, std::uint64_t{user_} << kTagBits); });
    ring_.wait(kBetweenRemovals);
  }
  while (ring_.outstanding(user_) > 0) ring_.wait(Duration::max());
  ring_.remove(user_);
}

void Readiness::arm() {
  if (armed_ || ready_) return;
  armed_ = true;
  ring_.queue(user_, 0,
              [this](io_uring_sqe* sqe) { io_uring_prep_poll_add(sqe, fd_, static_cast<unsigned>(events_)); });
}

void Readiness::on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t /*flags*/) {
  if (tag != 0) return;  // the removal's own
  armed_ = false;
  ready_ = result != -ECANCELED;
}

}  // namespace holdfast::location
