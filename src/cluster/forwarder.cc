#include "cluster/forwarder.h"

#include "base/endian.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace holdfast::cluster {
bool Forwarder::pass_on(const wire::RxFrame& frame, wire::FrameSink& sink) const {
  const auto ethernet = wire::parse_ethernet(frame.head);
  if (!ethernet || ethernet->destination != own_ || ethernet->ether_type != wire::kEtherTypeIpv4) return false;
  const MutableBytes datagram = frame.head.subspan(wire::kEthernetHeader);
  const std::size_t header = wire::ipv4_header_length(datagram);
  if (header < wire::kIpv4MinHeader || datagram.size() < header) return false;
  const auto ip = wire::parse_ipv4(datagram, datagram.size() + frame.body.size());
  if (!ip || ip->destination != address_) return false;

  wire::TxFrame out;
  out.head = frame.head;
  out.payload[0] = frame.body;
  if (frame.checksum_trusted || frame.gso_size != 0) {
    // Its checksum may be left to be done: then we leave it to be done, too.
    const std::size_t at = header + wire::kTcpChecksumOffset;
    if (ip->protocol != wire::kProtocolTcp || ip->is_fragment() || datagram.size() < at + 2) return false;
    const auto length = static_cast<std::uint16_t>(ip->payload_length());
    store_be16(datagram.data() + at, wire::pseudo_header_sum(ip->source, ip->destination, ip->protocol, length));
    out.needs_checksum = true;
    out.checksum_start = static_cast<std::uint16_t>(wire::kEthernetHeader + header);
    out.checksum_offset = wire::kTcpChecksumOffset;
    out.gso_size = frame.gso_size;
  }
  wire::emit_ethernet({to_, own_, wire::kEtherTypeIpv4}, frame.head);
  sink.transmit(out);
  return true;
}

}  // namespace holdfast::cluster
