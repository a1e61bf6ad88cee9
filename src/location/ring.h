// One io_uring for everything that a shard waits for: its locations' operations, readiness of its link's descriptor,
// time. So a shard's loop has one blocking point, and one system call submits all that the loop has asked for:
//
//   while (running) {
//     … frames in, appends, pump …          // operations are only queued
//     tap_readable.arm();
//     ring.wait(next_deadline - now());     // submits, sleeps until a completion or the time is up, dispatches
//   }
//
// Threads: one, the one that first submits (IORING_SETUP_SINGLE_ISSUER where the kernel has it). Handlers are called
// inside poll() and wait(), for any user of the ring: they note what happened, and may queue more operations; they must
// not call poll() or wait() (which then do nothing). Allocation: none after create() and add().
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/units.h"

namespace holdfast::location {

class Ring {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    // An operation ended: `result` is what the system call would have returned, or a negative errno value.
    virtual void on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t flags) = 0;
  };
  using User = std::uint16_t;
  static constexpr std::uint64_t kMaxTag = (std::uint64_t{1} << 48) - 1;

  // `entries`: operations that can be queued between two submissions (more are submitted early), 1..4096.
  static Result<std::unique_ptr<Ring>> create(unsigned entries = 256);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // The handler must stay until remove(), which demands that none of its operations is outstanding.
  User add(Handler& handler);
  void remove(User user);
  unsigned outstanding(User user) const { return users_[user].outstanding; }

  // A zeroed entry to be filled in by an io_uring_prep_* function *through* `prepare(sqe)`, submitted with the next
  // submit(), poll() or wait(). `tag` (at most kMaxTag) comes back to the handler.
  template <class Prepare>
  void queue(User user, std::uint64_t tag, Prepare&& prepare) {
    io_uring_sqe* const sqe = next_entry();
    prepare(sqe);
    label(sqe, user, tag);
  }

  void submit();
  // Submits where something is queued, dispatches what has ended, never blocks; returns how many.
  unsigned poll();
  // Submits, waits until something has ended or `at_most` is over or a signal came, and dispatches; returns how many.
  // Zero or less: as poll(). Duration::max(): no limit.
  unsigned wait(Duration at_most);

  // For an outer event loop: readable when something has ended.
  int fd() const { return ring_.ring_fd; }
  std::uint64_t submissions() const { return submissions_; }  // system calls made to submit or to wait

 private:
  struct Slot {
    Handler* handler = nullptr;
    unsigned outstanding = 0;
  };

  Ring() = default;
  io_uring_sqe* next_entry();
  void label(io_uring_sqe* sqe, User user, std::uint64_t tag);
  void enable();
  void allow_workers();
  unsigned dispatch();

  io_uring ring_{};
  std::vector<Slot> users_;
  std::uint64_t submissions_ = 0;
  bool enabled_ = true;
  bool dispatching_ = false;
};

// Readiness of a descriptor, level-triggered: arm() before a wait, take() after it. The descriptor stays the caller's.
class Readiness final : private Ring::Handler {
 public:
  // `events`: POLLIN, POLLOUT.
  Readiness(Ring& ring, int fd, short events);
  ~Readiness() override;  // blocks until the kernel has let go of the descriptor (at once)
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  // Asks to be woken when the descriptor is ready (or is now). Costs nothing when armed already.
  void arm();
  // True once after the descriptor was found ready (or broken: the next read or write will tell).
  bool take() { return std::exchange(ready_, false); }

 private:
  void on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t flags) override;

  Ring& ring_;
  const int fd_;
  const short events_;
  const Ring::User user_;
  bool armed_ = false;
  bool ready_ = false;
};

}  // namespace holdfast::location
