// IPv4 headers (RFC 791). Options are checked for length only and skipped; we send none.
#pragma once

#include <cstdint>
#include <expected>

#include "base/units.h"
#include "wire/address.h"
#include "wire/parse_error.h"

namespace holdfast::wire {

inline constexpr std::size_t kIpv4MinHeader = 20;
inline constexpr std::size_t kIpv4MaxHeader = 60;
inline constexpr std::size_t kIpv4MaxDatagram = 65535;

inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;

struct Ipv4Header {
  std::uint8_t header_length = 20;  // bytes, 20..60, options included
  std::uint8_t dscp = 0;            // 6 bits
  std::uint8_t ecn = 0;             // 2 bits (RFC 3168)
  std::uint16_t total_length = 0;   // bytes, header included
  std::uint16_t id = 0;
  bool dont_fragment = false;
  bool more_fragments = false;
  std::uint16_t fragment_offset = 0;  // bytes, a multiple of 8
  std::uint8_t ttl = 64;
  std::uint8_t protocol = 0;
  Ipv4Address source, destination;

  bool is_fragment() const { return more_fragments || fragment_offset != 0; }
  std::size_t payload_length() const { return std::size_t{total_length} - header_length; }
  friend bool operator==(const Ipv4Header&, const Ipv4Header&) = default;
};

// How many bytes of header the datagram claims to have, from its first byte; for a reader that must gather them first.
// 0 when `datagram` is empty.
std::size_t ipv4_header_length(Bytes datagram);

// Reads a header from the start of `datagram`, which holds at least the whole header. `available` is how many bytes of
// the datagram there are in all, wherever they lie (and padding behind it): total_length is at most that. Checks the
// header checksum. A fragment has been checked to end within 65,535 bytes, and, but for the last one, to be a multiple
// of 8 bytes long.
std::expected<Ipv4Header, ParseError> parse_ipv4(Bytes datagram, std::size_t available);

// The same for a header quoted in an ICMP error: total_length may be more than what is quoted, and the checksum is not
// looked at (routers quote headers that they have changed already).
std::expected<Ipv4Header, ParseError> parse_quoted_ipv4(Bytes datagram);

// Writes kIpv4MinHeader bytes (header_length is ignored: no options) with their checksum at the start of `out`.
void emit_ipv4(const Ipv4Header& header, MutableBytes out);

}  // namespace holdfast::wire
