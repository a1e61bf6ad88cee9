// RFC 5961 section 7: challenge ACKs, and answers to segments that carry nothing for us, are limited per connection (a
// global limit can be probed by a stranger, CVE-2016-5696).
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/units.h"

namespace holdfast::tcp {

class ChallengeLimit {
 public:
  // One more may be sent.
  bool take(Time now) {
    const Duration per_token = std::chrono::milliseconds(100);
    if (now - since_ >= kBurst * per_token) since_ = now - kBurst * per_token;
    if (now - since_ < per_token) return false;
    since_ += per_token;
    return true;
  }

 private:
  static constexpr std::int64_t kBurst = 10;
  Time since_{std::chrono::seconds(-1)};  // tokens have gathered from here on: ten a second, ten at most
};

}  // namespace holdfast::tcp
