// Segments out: route, headers, neighbour.
#include <array>
#include <cstring>

#include "base/assert.h"
#include "base/endian.h"
#include "ip/impl.h"
#include "wire/ethernet.h"
#include "wire/tcp.h"

namespace holdfast::ip {
namespace {

constexpr std::size_t kHeaders = wire::kEthernetHeader + wire::kIpv4MinHeader;

}  // namespace

std::optional<wire::Ipv4Address> Ip::Impl::next_hop(wire::Ipv4Address destination) const {
  const wire::Ipv4Prefix& link = config.address;
  if (!destination.is_unicast_host() || destination == link.address) return std::nullopt;
  if (!link.contains(destination)) return config.gateway;
  // The all-zeros and all-ones hosts are broadcasts, but for links of two (RFC 3021).
  const bool broadcast = destination == link.broadcast() || destination.value == (destination.value & link.mask());
  if (link.length < 31 && broadcast) return std::nullopt;
  return destination;
}

void Ip::Impl::emit_headers(wire::Ipv4Address destination, std::uint8_t protocol, std::size_t length,
                            MutableBytes out) {
  wire::emit_ethernet({{}, config.mac, wire::kEtherTypeIpv4}, out);
  wire::emit_ipv4({.total_length = static_cast<std::uint16_t>(wire::kIpv4MinHeader + length),
                   .id = next_id++,
                   .dont_fragment = true,
                   .protocol = protocol,
                   .source = config.address.address,
                   .destination = destination},
                  out.subspan(wire::kEthernetHeader));
}

void Ip::Impl::send_tcp(wire::Ipv4Address destination, MutableBytes header, const std::array<Bytes, 2>& payload,
                        std::uint16_t gso_size, Time now) {
  const std::size_t data = payload[0].size() + payload[1].size();
  const std::size_t length = header.size() + data;
  HF_ASSERT(header.size() >= wire::kTcpMinHeader && header.size() <= wire::kTcpMaxHeader);
  HF_ASSERT(wire::kIpv4MinHeader + length <= wire::kIpv4MaxDatagram);
  const auto hop = next_hop(destination);
  if (!hop) {
    ++counters.dropped_no_route;
    return;
  }
  std::array<std::byte, kHeaders + wire::kTcpMaxHeader> buffer;
  const MutableBytes head = MutableBytes(buffer).first(kHeaders + header.size());
  emit_headers(destination, wire::kProtocolTcp, length, head);
  // The link numbers the segments that it cuts upwards from this one's identification.
  if (gso_size != 0 && data > gso_size) next_id = static_cast<std::uint16_t>(next_id + (data - 1) / gso_size);
  std::memcpy(head.data() + kHeaders, header.data(), header.size());
  store_be16(head.data() + kHeaders + wire::kTcpChecksumOffset,
             wire::pseudo_header_sum(config.address.address, destination, wire::kProtocolTcp,
                                     static_cast<std::uint32_t>(length)));
  wire::TxFrame frame;
  frame.head = head;
  frame.payload = payload;
  frame.needs_checksum = true;
  frame.checksum_start = kHeaders;
  frame.checksum_offset = wire::kTcpChecksumOffset;
  frame.gso_size = gso_size;
  neighbours.send(*hop, head, frame, now);
}

}  // namespace holdfast::ip
