#include "tcp/congestion/cubic.h"

#include <algorithm>
#include <cmath>

namespace holdfast::tcp {
namespace {
constexpr double kC = 0.4;                                      // section 5.1
constexpr double kBeta = 0.7;                                   // section 4.6
constexpr double kAlpha = 3.0 * (1.0 - kBeta) / (1.0 + kBeta);  // section 4.3

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
}  // namespace

void Cubic::start_epoch(double window, Time now) {
  epoch_start_ = now;
  estimate_ = window;
  if (window < w_max_) {
    k_ = std::cbrt((w_max_ - window) / kC);
  } else {  // after slow start without a loss, or beyond the old maximum: section 4.8
    k_ = 0;
    w_max_ = window;
  }
}

void Cubic::avoid(std::uint64_t bytes, Duration rtt, Time now) {
  const double mss = mss_;
  const double window = static_cast<double>(cwnd_) / mss;
  const double acked = static_cast<double>(bytes) / mss;
  if (epoch_start_ == kNever || now < epoch_start_) start_epoch(window, now);

  const auto w_cubic = [this](double t) { return kC * (t - k_) * (t - k_) * (t - k_) + w_max_; };
  const double t = seconds(now - epoch_start_);
  estimate_ += (estimate_ < prior_ ? kAlpha : 1.0) * acked / window;

  double next = window;
  if (w_cubic(t) < estimate_) {
    next = std::max(window, estimate_);  // Reno-friendly region
  } else {
    const double target = std::clamp(w_cubic(t + seconds(rtt)), window, 1.5 * window);  // section 4.2
    next = window + (target - window) / window * acked;
    next = std::min(next, 1.5 * window);  // one ACK may stand for a whole window
  }
  const double growth = (next - window) * mss + fraction_;
  const double whole = std::floor(growth);
  fraction_ = growth - whole;
  cwnd_ += static_cast<std::uint64_t>(std::max(0.0, whole));
}

std::uint64_t Cubic::reduced(std::uint64_t flight, bool) {
  const double window = static_cast<double>(cwnd_) / mss_;
  // Fast convergence (section 4.7): the maximum falls, so somebody else came; leave room.
  w_max_ = window < w_max_ ? window * (1.0 + kBeta) / 2.0 : window;
  prior_ = window;
  epoch_start_ = kNever;
  fraction_ = 0;
  return static_cast<std::uint64_t>(static_cast<double>(flight) * kBeta);
}

}  // namespace holdfast::tcp
