// TS.Recent and PAWS: RFC 7323 sections 4.3 and 5.
#pragma once

#include <cstdint>

#include "base/units.h"
#include "wire/tcp.h"

namespace holdfast::tcp {

// a is before b in the timestamp's modular order.
constexpr bool timestamp_before(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }

class RecentTimestamp {
 public:
  void start(std::uint32_t value, Time now) {
    value_ = value;
    at_ = now;
    is_old_ = false;
  }
  // A predecessor's, from its log: not the newest one, for data records hold none.
  void inherit(std::uint32_t value, Time now) {
    start(value, now);
    is_old_ = true;
  }
  std::uint32_t value() const { return value_; }
  // For TSecr. An old one would tell the peer of a round trip that took as long as it is old, and its retransmission
  // time-out would grow to minutes; 0 tells of none.
  std::uint32_t echo() const { return is_old_ ? 0 : value_; }
  // PAWS: too old to belong here. A value unchanged for 24 days says nothing any more (section 5.5). How old a
  // predecessor's is nobody knows; but old duplicates are no older than the segment lifetime, so what lies further back
  // than that, in milliseconds or slower ticks, is a clock that has gone half way round since.
  bool rejects(std::uint32_t value, Time now) const {
    if (!timestamp_before(value, value_)) return false;
    return is_old_ ? value_ - value < kLongestLifetime : now - at_ < std::chrono::hours(24 * 24);
  }
  // A segment that passed PAWS and begins at or below Last.ACK.sent (section 4.3 (2)).
  void update(std::uint32_t value, Time now) { start(value, now); }

 private:
  static constexpr std::uint32_t kLongestLifetime = 4 * 60 * 1000;  // ms: twice RFC 9293's MSL

  std::uint32_t value_ = 0;
  Time at_{};
  bool is_old_ = false;
};

}  // namespace holdfast::tcp
