// ICMP messages (RFC 792; RFC 1122 section 3.2.2; next-hop MTU: RFC 1191).
#pragma once

#include <cstdint>
#include <expected>

#include "base/units.h"
#include "wire/ipv4.h"
#include "wire/parse_error.h"

namespace holdfast::wire {

inline constexpr std::size_t kIcmpHeader = 8;

inline constexpr std::uint8_t kIcmpEchoReply = 0;
inline constexpr std::uint8_t kIcmpDestinationUnreachable = 3;
inline constexpr std::uint8_t kIcmpEchoRequest = 8;
inline constexpr std::uint8_t kIcmpTimeExceeded = 11;
inline constexpr std::uint8_t kIcmpParameterProblem = 12;

// Codes of destination unreachable.
inline constexpr std::uint8_t kIcmpHostUnreachable = 1;
inline constexpr std::uint8_t kIcmpProtocolUnreachable = 2;
inline constexpr std::uint8_t kIcmpPortUnreachable = 3;
inline constexpr std::uint8_t kIcmpFragmentationNeeded = 4;

struct IcmpMessage {
  std::uint8_t type = 0, code = 0;
  std::uint32_t rest = 0;  // bytes 4..7: identifier and sequence number of an echo; next-hop MTU in the lower half
  Bytes payload;           // into what was parsed: an echo's data, an error's quotation
};

// Reads a whole message and checks its checksum.
std::expected<IcmpMessage, ParseError> parse_icmp(Bytes message);

// Writes header and payload with their checksum at the start of `out` and returns their length, 8 + payload.size();
// `out` holds at least as many. The payload may lie in `out` already, at kIcmpHeader.
std::size_t emit_icmp(const IcmpMessage& message, MutableBytes out);

// What an ICMP error quotes: the header of the datagram that caused it, and at least the first 8 bytes behind that.
struct IcmpQuote {
  Ipv4Header header;
  Bytes transport;
};
std::expected<IcmpQuote, ParseError> parse_icmp_quote(const IcmpMessage& error);

}  // namespace holdfast::wire
