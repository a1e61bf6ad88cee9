// Why bytes were not taken for a packet. Each value has a counter of its own in the statistics.
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast::wire {

enum class ParseError : std::uint8_t {
  kTruncated,   // ends before a header or a stated length does
  kBadVersion,  // not IPv4, or a header length below the minimum
  kBadLength,   // stated lengths contradict each other
  kBadChecksum,
  kUnsupported,  // well-formed, but not for us: another EtherType, protocol, hardware type
  kBadAddress,   // a source that no sender can have: broadcast, multicast, loopback
};

std::string_view to_string(ParseError error);

}  // namespace holdfast::wire
