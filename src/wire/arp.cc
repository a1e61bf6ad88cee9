#include "wire/arp.h"

#include "base/assert.h"
#include "base/endian.h"
#include "wire/ethernet.h"

namespace holdfast::wire {
namespace {

constexpr std::uint16_t kHardwareEthernet = 1;

}  // namespace

std::expected<ArpPacket, ParseError> parse_arp(Bytes packet) {
  if (packet.size() < 8) return std::unexpected(ParseError::kTruncated);
  const std::byte* at = packet.data();
  if (load_be16(at) != kHardwareEthernet || load_be16(at + 2) != kEtherTypeIpv4) {
    return std::unexpected(ParseError::kUnsupported);
  }
  if (std::to_integer<int>(at[4]) != 6 || std::to_integer<int>(at[5]) != 4) {
    return std::unexpected(ParseError::kBadLength);
  }
  const std::uint16_t operation = load_be16(at + 6);
  if (operation != 1 && operation != 2) return std::unexpected(ParseError::kUnsupported);
  if (packet.size() < kArpPacket) return std::unexpected(ParseError::kTruncated);

  ArpPacket arp;
  arp.operation = static_cast<ArpOperation>(operation);
  arp.sender_mac = load_mac(at + 8);
  arp.sender = Ipv4Address{load_be32(at + 14)};
  arp.target_mac = load_mac(at + 18);
  arp.target = Ipv4Address{load_be32(at + 24)};
  if (arp.sender_mac.is_multicast()) return std::unexpected(ParseError::kBadAddress);
  if (!arp.sender.is_unspecified() && !arp.sender.is_unicast_host()) return std::unexpected(ParseError::kBadAddress);
  return arp;
}

void emit_arp(const ArpPacket& packet, MutableBytes out) {
  HF_ASSERT(out.size() >= kArpPacket);
  std::byte* at = out.data();
  store_be16(at, kHardwareEthernet);
  store_be16(at + 2, kEtherTypeIpv4);
  at[4] = std::byte{6};
  at[5] = std::byte{4};
  store_be16(at + 6, static_cast<std::uint16_t>(packet.operation));
  store_mac(at + 8, packet.sender_mac);
  store_be32(at + 14, packet.sender.value);
  store_mac(at + 18, packet.target_mac);
  store_be32(at + 24, packet.target.value);
}

}  // namespace holdfast::wire
