// RFC 9438. Windows are kept in segments inside, as the RFC's formulas have them.
#pragma once

#include "tcp/congestion/congestion.h"

namespace holdfast::tcp {

class Cubic final : public Congestion {
 public:
  Cubic(std::uint32_t mss, std::uint64_t initial) : Congestion(mss, initial) {}
  // The next epoch starts from the window as it is then: idle time must not count as growth (section 5.8).
  void on_limited_ack() override { epoch_start_ = kNever; }

 private:
  void avoid(std::uint64_t bytes, Duration rtt, Time now) override;
  std::uint64_t reduced(std::uint64_t flight, bool timeout) override;
  void start_epoch(double window, Time now);

  double w_max_ = 0;     // window before the last reduction
  double prior_ = 0;     // cwnd then
  double k_ = 0;         // seconds from the epoch's start until w_max_ is reached again
  double estimate_ = 0;  // W_est: what Reno would have (section 4.3)
  double fraction_ = 0;  // of a byte, left over
  Time epoch_start_ = kNever;
};

}  // namespace holdfast::tcp
