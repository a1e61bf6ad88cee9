#include "tcp/rtt.h"

#include <algorithm>

namespace holdfast::tcp {
namespace {
constexpr Duration kGranularity = std::chrono::milliseconds(1);  // RFC 6298's G: that of the owner's timers
constexpr std::uint8_t kMaxBackOffs = 20;                        // the bound on the time-out is reached before
}  // namespace

RttEstimator::RttEstimator(const Config& config)
    : base_rto_(config.initial_rto), min_(config.min_rto), max_(config.max_rto) {}

void RttEstimator::sample(Duration rtt, std::uint32_t samples_per_window) {
  rtt = std::clamp<Duration>(rtt, Duration(1), max_);
  back_offs_ = 0;
  if (smoothed_ == Duration::zero()) {
    smoothed_ = rtt;
    variation_ = rtt / 2;
  } else {
    // With many samples a window the gains shrink, so that the history still spans several round trips.
    const auto n = static_cast<std::int64_t>(std::max<std::uint32_t>(samples_per_window, 1));
    const Duration error = smoothed_ > rtt ? smoothed_ - rtt : rtt - smoothed_;
    variation_ += (error - variation_) / (4 * n);
    smoothed_ += (rtt - smoothed_) / (8 * n);
    smoothed_ = std::max(smoothed_, Duration(1));
  }
  base_rto_ = std::clamp(smoothed_ + std::max(kGranularity, 4 * variation_), min_, max_);
}

void RttEstimator::back_off() {
  if (back_offs_ < kMaxBackOffs) ++back_offs_;
}

void RttEstimator::restart(Duration rto) {
  back_offs_ = 0;
  base_rto_ = std::clamp(rto, min_, max_);
}

Duration RttEstimator::rto() const {
  Duration rto = base_rto_;
  for (std::uint8_t i = 0; i < back_offs_ && rto < max_; ++i) rto *= 2;
  return std::min(rto, max_);
}

}  // namespace holdfast::tcp
