// Congestion control behind one interface: how much may be in flight. Which bytes are lost, and what is sent again,
// is decided elsewhere (loss.h). All amounts are bytes; growth counts bytes acknowledged, not ACKs (RFC 3465), so that
// one ACK for a super-segment grows the window as the many ACKs that it stands for would.
#pragma once

#include <cstdint>
#include <memory>

#include "base/units.h"
#include "tcp/config.h"

namespace holdfast::tcp {

class Congestion {
 public:
  virtual ~Congestion() = default;

  std::uint64_t cwnd() const { return cwnd_; }
  std::uint64_t ssthresh() const { return ssthresh_; }
  bool in_slow_start() const { return cwnd_ < ssthresh_; }

  // `bytes` were acknowledged while the window was what limited the sender.
  void on_ack(std::uint64_t bytes, Duration rtt, Time now);
  // Bytes were acknowledged while something else limited the sender: no growth (RFC 9293 via RFC 7661, RFC 9438
  // section 5.8).
  virtual void on_limited_ack() {}
  // Loss was seen by duplicates: reduce once for the window (RFC 5681 section 3.2, RFC 6675 section 5).
  void on_loss(std::uint64_t flight);
  // Loss was seen by the timer (RFC 5681 equation 4); `first`: not a repeated time-out of the same data.
  void on_timeout(std::uint64_t flight, bool first);
  // Nothing was sent for a time-out's length (RFC 5681 section 4.1); `initial` is the initial window.
  void on_idle(std::uint64_t initial);
  // The segment size changed: path MTU.
  void set_mss(std::uint32_t mss) { mss_ = mss; }
  // The window to begin with, when that is not the one it was made with: SYN lost (RFC 6928 section 2).
  void set_cwnd(std::uint64_t cwnd) { cwnd_ = cwnd; }

 protected:
  Congestion(std::uint32_t mss, std::uint64_t initial) : mss_(mss), cwnd_(initial) {}
  virtual void avoid(std::uint64_t bytes, Duration rtt, Time now) = 0;    // congestion avoidance
  virtual std::uint64_t reduced(std::uint64_t flight, bool timeout) = 0;  // the new ssthresh

  std::uint32_t mss_;
  std::uint64_t cwnd_;
  std::uint64_t ssthresh_ = ~std::uint64_t{0};  // "arbitrarily high" (RFC 5681 section 3.1)
};

std::unique_ptr<Congestion> make_congestion(CongestionControl which, std::uint32_t mss, std::uint64_t initial);

// min(n * MSS, max(2 * MSS, 14600)) for n = 10 (RFC 6928 section 2).
std::uint64_t initial_window(std::uint32_t mss, std::uint8_t segments);

}  // namespace holdfast::tcp
