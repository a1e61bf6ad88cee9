// When arrived data wants an ACK: RFC 9293 section 3.8.6.3, RFC 5681 section 4.2. "Noted" stands where those say
// "sent": the ACK leaves when the gate releases it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace holdfast::tcp {

class AckPolicy {
 public:
  // In-order bytes came. A super-segment stands for as many segments as it holds. True: note an ACK now. False: the
  // delayed-ACK timer is to run.
  bool on_data(std::size_t bytes, std::uint32_t full_segment) {
    // The peer's segments may be smaller than ours: go by the largest seen (RFC 9293 section 3.8.6.3, RMSS).
    const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(bytes, full_segment));
    peer_segment_ = std::max(peer_segment_, n);
    unnoted_ += bytes;
    return unnoted_ > peer_segment_;  // SHLD-19: at least every second segment
  }
  void on_noted() { unnoted_ = 0; }
  bool pending() const { return unnoted_ > 0; }

 private:
  std::uint64_t unnoted_ = 0;         // bytes since the last note
  std::uint32_t peer_segment_ = 536;  // RFC 9293 MUST-15: what any peer may send
};

}  // namespace holdfast::tcp
