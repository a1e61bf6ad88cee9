// Round-trip time and retransmission time-out: RFC 6298.
#pragma once

#include <cstdint>

#include "base/units.h"
#include "tcp/config.h"

namespace holdfast::tcp {

class RttEstimator {
 public:
  explicit RttEstimator(const Config& config);

  // A measurement, of a segment that was not retransmitted or that a timestamp identifies (Karn). Ends any back-off.
  // `samples_per_window`: how many measurements a window yields at about this rate, at least 1 (RFC 7323 appendix G).
  void sample(Duration rtt, std::uint32_t samples_per_window = 1);
  // The timer expired: doubles the time-out, up to its bound (RFC 6298 (5.5)).
  void back_off();
  // A SYN was lost and gave no measurement: begin with this (RFC 6298 (5.7)).
  void restart(Duration rto);

  Duration smoothed() const { return smoothed_; }  // 0 before the first sample
  Duration rto() const;

 private:
  Duration smoothed_{};
  Duration variation_{};
  Duration base_rto_;  // before back-off
  Duration min_, max_;
  std::uint8_t back_offs_ = 0;
};

}  // namespace holdfast::tcp
