// Bounds how often something happens: `rate` times a second on average, and at most `burst` times at once.
#pragma once

#include <algorithm>

#include "base/units.h"

namespace holdfast::ip {

class TokenBucket {
 public:
  TokenBucket(int rate, int burst)
      : interval_(std::chrono::nanoseconds(std::chrono::seconds(1)) / rate), depth_(interval_ * burst) {}

  // False: not now.
  bool take(Time now) {
    const Time from = std::max(full_at_, now);
    if (from - now > depth_ - interval_) return false;
    full_at_ = from + interval_;
    return true;
  }

 private:
  Duration interval_;
  Duration depth_;
  Time full_at_ = Time::min();  // when the bucket will be full again
};

}  // namespace holdfast::ip
