// Frames as they pass between a link and the layers above, with the offloads that a virtual device offers.
// A frame always starts at its Ethernet header.
#pragma once

#include <array>
#include <cstdint>

#include "base/units.h"

namespace holdfast::wire {

// A received frame, in one or two pieces. A link scatters what it reads: `head` holds the first bytes, `body` the rest,
// so that a payload can land where it will be stored. Where the split falls is the link's guess; a reader must not
// rely on it. Both pieces belong to the link and are valid until the receiving call returns; a receiver may overwrite
// them.
struct RxFrame {
  MutableBytes head;
  MutableBytes body;
  // The transport checksum needs no check: the sender is on this machine and left it out, or hardware checked it.
  bool checksum_trusted = false;
  // 0, or the segment size with which this TCP super-segment stands for several (up to 64 KiB in all).
  std::uint16_t gso_size = 0;
};

// A frame to be sent, gathered from up to three pieces. Valid until the sending call returns.
struct TxFrame {
  Bytes head;                      // Ethernet, network and transport headers
  std::array<Bytes, 2> payload{};  // either may be empty
  // The transport checksum field holds the pseudo-header's sum; the rest is left to the link:
  // the sum from `checksum_start` (bytes from the frame's start) is to be stored `checksum_offset` bytes after it.
  bool needs_checksum = false;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  // 0, or: cut the TCP payload into segments of this size (at most 64 KiB in all; needs_checksum is set).
  std::uint16_t gso_size = 0;

  std::size_t size() const { return head.size() + payload[0].size() + payload[1].size(); }
};

// Takes frames that leave. A frame that can't be sent now is dropped and counted: the layers above retransmit.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  virtual void transmit(const TxFrame& frame) = 0;
};

}  // namespace holdfast::wire
