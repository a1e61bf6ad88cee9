// ARP packets for IPv4 over Ethernet (RFC 826).
#pragma once

#include <cstdint>
#include <expected>

#include "base/units.h"
#include "wire/address.h"
#include "wire/parse_error.h"

namespace holdfast::wire {

inline constexpr std::size_t kArpPacket = 28;

enum class ArpOperation : std::uint16_t { kRequest = 1, kReply = 2 };

struct ArpPacket {
  ArpOperation operation = ArpOperation::kRequest;
  MacAddress sender_mac;
  Ipv4Address sender;  // 0.0.0.0 in a probe (RFC 5227 section 2.1.1)
  MacAddress target_mac;
  Ipv4Address target;
  friend bool operator==(const ArpPacket&, const ArpPacket&) = default;
};

// Reads a packet from the start of `packet`, the payload of an Ethernet frame; padding may follow. kUnsupported:
// another hardware or protocol type, or another operation. kBadAddress: a sender that no host can have.
std::expected<ArpPacket, ParseError> parse_arp(Bytes packet);

// Writes kArpPacket bytes at the start of `out`, which holds at least as many.
void emit_arp(const ArpPacket& packet, MutableBytes out);

}  // namespace holdfast::wire
