// Frames in: Ethernet, ARP, IPv4; what is for us goes to TCP, ICMP or UDP.
#include <algorithm>
#include <cstring>

#include "base/endian.h"
#include "ip/impl.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace holdfast::ip {
namespace {

// Cuts what lies in two pieces to `length` bytes.
void trim(MutableBytes& head, MutableBytes& body, std::size_t length) {
  head = head.first(std::min(head.size(), length));
  body = body.first(std::min(body.size(), length - head.size()));
}

// How much of the frame must lie in its first piece to read the headers up to IPv4. The frame may be shorter.
std::size_t bytes_to_parse(Bytes head) {
  if (head.size() <= wire::kEthernetHeader) return wire::kEthernetHeader + 1;
  switch (load_be16(head.data() + 12)) {
    case wire::kEtherTypeArp:
      return wire::kEthernetHeader + wire::kArpPacket;
    case wire::kEtherTypeIpv4:
      return wire::kEthernetHeader +
             std::max(wire::kIpv4MinHeader, wire::ipv4_header_length(head.subspan(wire::kEthernetHeader)));
    default:
      return wire::kEthernetHeader;
  }
}

bool checksum_holds(const Datagram& datagram) {
  wire::ChecksumSum sum(wire::pseudo_header_sum(datagram.header.source, datagram.header.destination,
                                                datagram.header.protocol, static_cast<std::uint32_t>(datagram.size())));
  sum.add(datagram.head);
  sum.add(datagram.body);
  return sum.sum() == 0xffff;
}

}  // namespace

void Ip::Impl::drop(wire::ParseError error) {
  if (error == wire::ParseError::kUnsupported) {
    ++counters.dropped_unsupported;
    return;
  }
  ++counters.dropped_malformed;
  ++counters.malformed[static_cast<std::size_t>(error)];
}

// Puts both pieces into the scratch buffer. Bytes beyond the largest datagram can only be padding.
void Ip::Impl::linearise(MutableBytes& head, MutableBytes& body) {
  if (body.empty()) return;
  const MutableBytes whole(scratch.get(), kScratch);
  const std::size_t first = std::min(head.size(), whole.size());
  const std::size_t second = std::min(body.size(), whole.size() - first);
  if (first > 0) std::memcpy(whole.data(), head.data(), first);
  if (second > 0) std::memcpy(whole.data() + first, body.data(), second);
  head = whole.first(first + second);
  body = {};
}

void Ip::Impl::on_frame(wire::RxFrame frame, Time now) {
  ++counters.frames_in;
  counters.bytes_in += frame.head.size() + frame.body.size();
  if (frame.head.size() < bytes_to_parse(frame.head)) linearise(frame.head, frame.body);
  const auto ethernet = wire::parse_ethernet(frame.head);
  if (!ethernet) return drop(ethernet.error());
  const bool to_us = ethernet->destination == config.mac;
  if (!to_us && ethernet->destination != wire::kBroadcastMac) {
    ++counters.dropped_not_for_us;
    return;
  }
  switch (ethernet->ether_type) {
    case wire::kEtherTypeArp:
      return on_arp(frame.head.subspan(wire::kEthernetHeader), to_us, now);
    case wire::kEtherTypeIpv4:
      // RFC 1122 section 3.3.6: no datagram for one host comes as a broadcast frame.
      if (!to_us) {
        ++counters.dropped_not_for_us;
        return;
      }
      return on_ipv4(frame, ethernet->source, now);
    default:
      ++counters.dropped_unsupported;
  }
}

void Ip::Impl::on_arp(Bytes packet, bool to_us, Time now) {
  const auto arp = wire::parse_arp(packet);
  if (!arp) return drop(arp.error());
  const wire::Ipv4Address ours = config.address.address;
  if (arp->sender == ours) {
    if (arp->sender_mac != config.mac) own_address.defend(now);
    return;
  }
  const bool asks_for_us = arp->operation == wire::ArpOperation::kRequest && arp->target == ours;
  // A reply is believed when we asked (then there is an entry) and it came to us alone, or as an announcement.
  if (!arp->sender.is_unspecified()) neighbours.learn(arp->sender, arp->sender_mac, asks_for_us, now);
  if (asks_for_us) {
    own_address.answer(*arp, now);
  } else if (!to_us || arp->target != ours) {
    ++counters.dropped_not_for_us;
  }
}

void Ip::Impl::on_ipv4(const wire::RxFrame& frame, const wire::MacAddress& from, Time now) {
  Datagram datagram{.header = {},
                    .head = frame.head.subspan(wire::kEthernetHeader),
                    .body = frame.body,
                    .from = from,
                    .checksum_trusted = frame.checksum_trusted,
                    .gso_size = frame.gso_size};
  const auto header = wire::parse_ipv4(datagram.head, datagram.size());
  if (!header) return drop(header.error());
  if (!accept_addresses(*header)) return;
  // Of a neighbour itself only: what comes through the gateway says nothing of who that is.
  if (!config.relayed && next_hop(header->source) == header->source) neighbours.hint(header->source, from, now);
  datagram.header = *header;
  trim(datagram.head, datagram.body, header->total_length);
  datagram.head = datagram.head.subspan(header->header_length);
  if (header->is_fragment()) return on_fragment(datagram, now);
  deliver(datagram, now);
}

bool Ip::Impl::accept_addresses(const wire::Ipv4Header& header) {
  const wire::Ipv4Prefix& link = config.address;
  if (header.destination != link.address) {
    ++counters.dropped_not_for_us;
    return false;
  }
  // RFC 1122 section 3.2.1.3: no source that no host can have; and ours is nobody else's.
  const wire::Ipv4Address source = header.source;
  const bool broadcast = link.length < 31 && link.contains(source) &&
                         (source == link.broadcast() || source.value == (source.value & link.mask()));
  if (!source.is_unicast_host() || source == link.address || broadcast) {
    drop(wire::ParseError::kBadAddress);
    return false;
  }
  return true;
}

void Ip::Impl::on_fragment(const Datagram& fragment, Time now) {
  const MutableBytes into(scratch.get(), kScratch);
  const auto whole = reassembly.add(fragment.header, fragment.head, fragment.body, now, into);
  if (!whole) return;
  ++counters.reassembled;
  deliver({.header = whole->header, .head = into.first(whole->length), .body = {}, .from = fragment.from}, now);
}

void Ip::Impl::deliver(Datagram datagram, Time now) {
  switch (datagram.header.protocol) {
    case wire::kProtocolTcp:
      return on_tcp(datagram, now);
    case wire::kProtocolIcmp:
      return on_icmp(datagram, now);
    case wire::kProtocolUdp:
      return on_udp(datagram, now);
    default:
      ++counters.dropped_unsupported;
      linearise(datagram.head, datagram.body);
      send_icmp_error(wire::kIcmpDestinationUnreachable, wire::kIcmpProtocolUnreachable, datagram.header, datagram.head,
                      datagram.from, now);
  }
}

void Ip::Impl::on_tcp(Datagram datagram, Time now) {
  if (datagram.size() < wire::kTcpMinHeader) return drop(wire::ParseError::kTruncated);
  if (datagram.head.size() < wire::kTcpMinHeader) linearise(datagram.head, datagram.body);
  const std::size_t header_length = std::to_integer<std::size_t>(datagram.head[12] >> 4) * 4;
  if (datagram.head.size() < header_length) linearise(datagram.head, datagram.body);
  if (!datagram.checksum_trusted && !checksum_holds(datagram)) return drop(wire::ParseError::kBadChecksum);
  host.on_tcp({.source = datagram.header.source,
               .destination = datagram.header.destination,
               .head = datagram.head,
               .body = datagram.body,
               .checksum_trusted = true,
               .gso_size = datagram.gso_size,
               .ecn = datagram.header.ecn},
              now);
}

// There is no UDP service: a well-formed datagram finds its port unreachable.
void Ip::Impl::on_udp(Datagram datagram, Time now) {
  linearise(datagram.head, datagram.body);
  const auto header = wire::parse_udp(datagram.head, datagram.head.size());
  if (!header) return drop(header.error());
  datagram.head = datagram.head.first(header->length);
  // RFC 768: a checksum of 0 means that there is none.
  if (!datagram.checksum_trusted && header->checksum != 0 && !checksum_holds(datagram)) {
    return drop(wire::ParseError::kBadChecksum);
  }
  ++counters.dropped_unsupported;
  send_icmp_error(wire::kIcmpDestinationUnreachable, wire::kIcmpPortUnreachable, datagram.header, datagram.head,
                  datagram.from, now);
}

}  // namespace holdfast::ip
