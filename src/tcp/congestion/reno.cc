#include "tcp/congestion/reno.h"

namespace holdfast::tcp {

// One segment for each window's worth of acknowledged bytes.
void Reno::avoid(std::uint64_t bytes, Duration, Time) {
  acked_ += bytes;
  while (acked_ >= cwnd_) {
    acked_ -= cwnd_;
    cwnd_ += mss_;
  }
}

std::uint64_t Reno::reduced(std::uint64_t flight, bool) {
  acked_ = 0;
  return flight / 2;
}

}  // namespace holdfast::tcp
