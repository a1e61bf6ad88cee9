// What can be set about a connection. Defaults are ours; conformance adaptors may set other values.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace holdfast::tcp {

enum class CongestionControl : std::uint8_t { kReno = 0, kCubic = 1 };

// The N-way handshake (docs/handshake.md). Off as it stands: three ways, and no option in what we open.
struct WaysConfig {
  std::uint8_t min = 3;  // 3..74: fewer are refused
  std::uint8_t max = 3;  // min..74: what an active open proposes; what a passive one settles on at most
  bool strict = false;   // a peer that certifies fewer copies than its step asks for is reset
  // How long a step waits for the copies that it is to certify; then it says how many there are. 0..1 h
  Duration roll_call_timeout = std::chrono::seconds(1);
  friend bool operator==(const WaysConfig&, const WaysConfig&) = default;
};

struct Config {
  // Largest segment we can receive, and the MSS we announce: MTU - 40 (RFC 9293 section 3.7.1, RFC 6691).
  std::uint16_t mss = 1460;
  // Upper bound of the receive window in bytes: decides our window scale. 64 KiB .. 1 GiB.
  std::uint32_t max_receive_window = 8U << 20;
  // Bytes of outbound stream held until acknowledged. A bound, not an allocation.
  std::uint32_t send_buffer = 1U << 20;
  // Bytes held above a gap, per connection; beyond it they are dropped (the peer retransmits).
  std::uint32_t reassembly_bytes = 8U << 20;
  bool timestamps = true;
  bool window_scale = true;
  bool sack = true;
  bool nagle = true;
  WaysConfig ways;
  CongestionControl congestion = CongestionControl::kCubic;
  std::uint8_t initial_window_segments = 10;  // RFC 6928

  Duration initial_rto = std::chrono::seconds(1);        // RFC 6298 (2.1)
  Duration min_rto = std::chrono::milliseconds(200);     // below RFC 6298's SHOULD of 1 s, as every current stack
  Duration max_rto = std::chrono::seconds(60);           // RFC 6298 (2.5)
  Duration delayed_ack = std::chrono::milliseconds(40);  // RFC 9293 SHLD-18, MUST-40: at most 500 ms
  // Data that ends with PSH draws its note at once, however little it is: for a host that holds notes until the data is
  // stored, which gathers them as the delay would, and is time enough for an answer to carry the ACK. A sender that
  // waits for the ACK of a small message would otherwise wait for the delay on top of storage.
  bool note_pushed = false;
  Duration msl =
      std::chrono::seconds(30);  // TIME-WAIT lasts twice this (RFC 9293 section 3.4.2 says MSL is arbitrary: 2 min)
  std::uint8_t syn_retries = 8;  // with back-off 4 min; RFC 9293 MUST-23 wants 3 at least
  std::uint8_t retries = 15;     // R2: give up after so many time-outs in a row, about 15 min
  Duration user_timeout{};  // 0: none; else give up when data stays unacknowledged so long (RFC 9293 section 3.9.1.1)
  bool keepalive = false;   // RFC 9293 MUST-25: off by default
  Duration keepalive_idle = std::chrono::hours(2);
  Duration keepalive_interval = std::chrono::seconds(75);
  std::uint8_t keepalive_probes = 9;
};

}  // namespace holdfast::tcp
