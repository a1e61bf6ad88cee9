#include "shard/head_size.h"

#include <cstdint>

#include "base/endian.h"
#include "wire/ethernet.h"

namespace holdfast::shard {
namespace {

constexpr std::size_t kIpv4MinHeader = 20;
constexpr std::size_t kTcpMinHeader = 20;
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint16_t kFragmentBits = 0x3fff;  // more fragments, or an offset

std::uint8_t octet(Bytes bytes, std::size_t at) { return std::to_integer<std::uint8_t>(bytes[at]); }

}  // namespace

std::optional<std::size_t> tcp_header_bytes(Bytes head) {
  if (head.size() < wire::kEthernetHeader + kIpv4MinHeader + kTcpMinHeader) return std::nullopt;
  if (load_be16(&head[12]) != wire::kEtherTypeIpv4) return std::nullopt;
  const Bytes ip = head.subspan(wire::kEthernetHeader);
  if (octet(ip, 9) != kProtocolTcp || (load_be16(&ip[6]) & kFragmentBits) != 0) return std::nullopt;
  const std::size_t ip_header = (octet(ip, 0) & 0x0fU) * std::size_t{4};
  if (ip_header < kIpv4MinHeader || ip.size() < ip_header + kTcpMinHeader) return std::nullopt;
  const std::size_t tcp_header = (octet(ip, ip_header + 12) >> 4U) * std::size_t{4};
  if (tcp_header < kTcpMinHeader) return std::nullopt;
  return wire::kEthernetHeader + ip_header + tcp_header;
}

}  // namespace holdfast::shard
