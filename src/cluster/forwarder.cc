#include "cluster/forwarder.h"

#include "cluster/relay.h"

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
    const std::size_t at = header + wire::kTcpChecksumOffset;
    if (ip->protocol != wire::kProtocolTcp || ip->is_fragment() || datagram.size() < at + 2) return false;
    leave_checksum_to_be_done(datagram, *ip, frame.gso_size, out);
  }
  if (!lower_ttl(datagram)) return false;
  wire::emit_ethernet({to_, own_, wire::kEtherTypeIpv4}, frame.head);
  sink.transmit(out);
  return true;
}

}  // namespace holdfast::cluster
