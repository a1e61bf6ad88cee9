#include "tcp/congestion/congestion.h"

#include <algorithm>

#include "tcp/congestion/cubic.h"
#include "tcp/congestion/reno.h"

namespace holdfast::tcp {
namespace {
constexpr std::uint64_t kMaxWindow = std::uint64_t{1} << 30;  // no larger window can be offered (RFC 7323 section 2.3)
}

void Congestion::on_ack(std::uint64_t bytes, Duration rtt, Time now) {
  if (in_slow_start()) {
    const std::uint64_t growth = std::min(bytes, ssthresh_ - cwnd_);
    cwnd_ += growth;
    bytes -= growth;
  }
  if (bytes > 0 && !in_slow_start()) avoid(bytes, rtt, now);
  cwnd_ = std::min(cwnd_, std::max<std::uint64_t>(kMaxWindow, mss_));
}

void Congestion::on_loss(std::uint64_t flight) {
  ssthresh_ = std::max<std::uint64_t>(reduced(flight, false), 2 * std::uint64_t{mss_});
  cwnd_ = ssthresh_;
}

void Congestion::on_timeout(std::uint64_t flight, bool first) {
  if (first) ssthresh_ = std::max<std::uint64_t>(reduced(flight, true), 2 * std::uint64_t{mss_});
  cwnd_ = mss_;
}

void Congestion::on_idle(std::uint64_t initial) { cwnd_ = std::min(cwnd_, initial); }

std::unique_ptr<Congestion> make_congestion(CongestionControl which, std::uint32_t mss, std::uint64_t initial) {
  if (which == CongestionControl::kReno) return std::make_unique<Reno>(mss, initial);
  return std::make_unique<Cubic>(mss, initial);
}

std::uint64_t initial_window(std::uint32_t mss, std::uint8_t segments) {
  const std::uint64_t n = std::max<std::uint8_t>(segments, 1);
  return std::min(n * mss, std::max<std::uint64_t>(2 * std::uint64_t{mss}, n * 1460));
}

}  // namespace holdfast::tcp
