// UDP headers (RFC 768). Read only: we send none.
#pragma once

#include <cstdint>
#include <expected>

#include "base/units.h"
#include "wire/address.h"
#include "wire/parse_error.h"

namespace holdfast::wire {

inline constexpr std::size_t kUdpHeader = 8;

struct UdpHeader {
  Port source, destination;
  std::uint16_t length = 0;    // bytes, header included
  std::uint16_t checksum = 0;  // 0: the sender made none
};

// Reads a header from the start of `datagram`, which holds at least the header. `available` is how many bytes there are
// in all, wherever they lie: `length` is at most that. The checksum is left to the caller, who knows the pseudo-header.
std::expected<UdpHeader, ParseError> parse_udp(Bytes datagram, std::size_t available);

}  // namespace holdfast::wire
