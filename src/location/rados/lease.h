// The lease, from both sides. Clocks are never compared: each side counts from what it has seen itself, and the
// taker's count begins later than the owner's. What makes two owners harmless is the fence (pool.h), not the lease:
// that keeps a successor from taking the log of an owner that works, and tells an owner that it is being missed.
//
// Pure.
#pragma once

#include <algorithm>
#include <optional>

#include "location/rados/head.h"

namespace holdfast::location::rados {

// The owner's side.
class Lease {
 public:
  explicit Lease(Duration length) : length_(length) {}

  Duration length() const { return length_; }
  void begin(Time now) {
    good_until_ = now + length_ - length_ / 8;
    due_ = now + length_ / 5;
  }
  Time due() const { return due_; }
  void began_renewal(Time now) { due_ = now + length_ / 5; }
  // The cluster has taken a renewal that was begun at `begun`: a watcher sees it then or later.
  void renewed(Time begun) { good_until_ = std::max(good_until_, begun + length_ - length_ / 8); }
  // An eighth before a successor may take it, for clocks that run at different speeds.
  bool good(Time now) const { return now < good_until_; }
  Time good_until() const { return good_until_; }

 private:
  Duration length_;
  Time good_until_{};
  Time due_ = kNever;
};

// The side of one who would take it: looks at the head from time to time.
class LeaseWatch {
 public:
  // The log may be taken: it never had an owner, that one has released it, or it has not renewed for a whole lease. The
  // head was asked for and came at these times; it is as it was at some moment between the two. (So that one who was
  // stopped in the middle does not count the time that has gone by since.)
  bool free(const Head& head, Time asked, Time came) {
    if (head.active_owner() == nullptr) return true;
    if (!seen_ || seen_->first != head.epoch || seen_->second != head.owner->renewal) {
      renews_ = seen_.has_value();
      seen_ = {head.epoch, head.owner->renewal};
      since_ = came;
      return false;
    }
    return asked - since_ >= lease_of(*head.owner);
  }

  // The owner that was looked at last lives: it has taken the log, or renewed it, since it was looked at first.
  bool renews() const { return renews_; }

  // A lease as somebody has written it down, in nanoseconds: hostile until it is within bounds.
  static Duration length(std::uint64_t written) {
    constexpr auto kLeast = static_cast<std::uint64_t>(Duration(std::chrono::milliseconds(50)).count());
    constexpr auto kMost = static_cast<std::uint64_t>(Duration(std::chrono::minutes(10)).count());
    return Duration(static_cast<std::int64_t>(std::clamp(written, kLeast, kMost)));
  }
  static Duration lease_of(const Owner& owner) { return length(owner.lease); }
  // Until the next look at this owner's head.
  static Duration pause(const Owner& owner) { return lease_of(owner) / 10; }

 private:
  std::optional<std::pair<std::uint64_t, std::uint64_t>> seen_;  // epoch, renewal
  bool renews_ = false;
  Time since_{};
};

}  // namespace holdfast::location::rados
