#include "link/capture.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace holdfast::link {
namespace {

// Stores the checksum over `transport`, whose field at `offset` holds the pseudo-header's sum.
void complete_checksum(MutableBytes transport, std::size_t offset) {
  if (offset + 2 > transport.size()) return;
  store_be16(transport.data() + offset, wire::internet_checksum(transport));
}

// A received frame whose checksum is trusted may lack it (the sender is on this machine), and does not say so.
void complete_received_checksum(MutableBytes frame) {
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet || ethernet->ether_type != wire::kEtherTypeIpv4) return;
  const MutableBytes datagram = frame.subspan(wire::kEthernetHeader);
  if (wire::ipv4_header_length(datagram) > datagram.size()) return;
  const auto ip = wire::parse_ipv4(datagram, datagram.size());
  if (!ip || ip->is_fragment()) return;
  const MutableBytes transport = datagram.subspan(ip->header_length, ip->payload_length());
  constexpr std::size_t kUdpChecksum = 6;
  const bool tcp = ip->protocol == wire::kProtocolTcp;
  if (!tcp && ip->protocol != wire::kProtocolUdp) return;
  const std::size_t offset = tcp ? wire::kTcpChecksumOffset : kUdpChecksum;
  if (offset + 2 > transport.size()) return;
  const auto length = static_cast<std::uint32_t>(transport.size());
  store_be16(transport.data() + offset, wire::pseudo_header_sum(ip->source, ip->destination, ip->protocol, length));
  complete_checksum(transport, offset);
}

}  // namespace

RealTime real_time() {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

Capture::Capture(PcapngWriter writer, Clock clock)
    : writer_(std::move(writer)), clock_(clock), copy_(std::make_unique<std::byte[]>(kMaxFrame)) {}

MutableBytes Capture::gather(std::initializer_list<Bytes> pieces) {
  std::size_t size = 0;
  for (Bytes piece : pieces) {
    piece = piece.first(std::min(piece.size(), kMaxFrame - size));
    if (!piece.empty()) std::memcpy(copy_.get() + size, piece.data(), piece.size());
    size += piece.size();
  }
  return {copy_.get(), size};
}

void Capture::received(const wire::RxFrame& frame) {
  if (writer_.stopped()) return;
  const MutableBytes copy = gather({frame.head, frame.body});
  if (frame.checksum_trusted) complete_received_checksum(copy);
  writer_.write(Direction::kInbound, clock_(), copy);
}

void Capture::sent(const wire::TxFrame& frame) {
  if (writer_.stopped()) return;
  const MutableBytes copy = gather({frame.head, frame.payload[0], frame.payload[1]});
  if (frame.needs_checksum && frame.checksum_start <= copy.size()) {
    complete_checksum(copy.subspan(frame.checksum_start), frame.checksum_offset);
  }
  writer_.write(Direction::kOutbound, clock_(), copy);
}

}  // namespace holdfast::link
