// What the window field of a segment says (RFC 9293 section 3.8.6, RFC 7323 section 2).
//
// The field counts from the ACK that the segment carries, which is the released one. The offered edge therefore always
// lies a multiple of the scale's granule above that ACK; edges are chosen so that they do not retreat. Where the room
// ends and ACKs at odd places approach it, no such edge fits below the room any more: then the offer is rounded down,
// by less than a granule (the shrinking that RFC 7323 section 2.4 allows for). Nothing above the room is ever offered,
// and all that was ever offered stays acceptable.
#pragma once

#include <cstdint>

#include "base/units.h"
#include "tcp/connection.h"

namespace holdfast::tcp {

class ReceiveWindow {
 public:
  ReceiveWindow() = default;
  // `edge`: highest that may have been advertised already.
  ReceiveWindow(std::uint8_t shift, StreamOffset edge) : edge_(edge), offered_(edge), shift_(shift) {}

  // The field for a segment that carries `ack`. Remembers what it offers.
  std::uint16_t advertise(StreamOffset ack, const ReceiveAllowance& allowance, std::uint32_t mss, std::uint8_t shift);
  std::uint16_t advertise(StreamOffset ack, const ReceiveAllowance& allowance, std::uint32_t mss) {
    return advertise(ack, allowance, mss, shift_);
  }
  // Whether a segment should be sent only to tell the window (RFC 9293 section 3.8.6.2.2).
  bool worth_an_update(StreamOffset ack, const ReceiveAllowance& allowance, std::uint32_t mss) const;

  StreamOffset edge() const { return edge_; }  // highest ever advertised
  bool stalled() const { return stalled_; }    // the last allowance said so
  void set_stalled(bool stalled) { stalled_ = stalled; }
  void set_shift(std::uint8_t shift) { shift_ = shift; }

 private:
  std::uint64_t silly(StreamOffset ack, StreamOffset room, std::uint64_t segments, std::uint32_t mss) const;

  StreamOffset edge_;
  StreamOffset offered_;       // by the last field
  std::uint64_t largest_ = 0;  // window ever allowed: RFC 9293's RCV.BUFF
  std::uint8_t shift_ = 0;
  bool stalled_ = false;
};

// The smallest shift with which `window` bytes can be expressed (RFC 7323 section 2.3).
std::uint8_t window_shift_for(std::uint32_t window);

}  // namespace holdfast::tcp
