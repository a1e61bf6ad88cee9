#include "node/restart_policy.h"

#include <algorithm>

namespace holdfast::node {

Duration RestartPolicy::delay_after(Duration worked, bool killed) {
  constexpr unsigned kEnoughDoublings = 16;  // far beyond the longest delay; keeps the shift in range
  if (worked >= kWorkedLongEnough) {
    failures_ = 0;
    return Duration::zero();
  }
  if (killed) return Duration::zero();
  const unsigned before = failures_;
  failures_ = std::min(failures_ + 1, kEnoughDoublings);
  if (before == 0) return Duration::zero();
  return std::min<Duration>(kFirstDelay * (1U << (before - 1)), kLongestDelay);
}

}  // namespace holdfast::node
