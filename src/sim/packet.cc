#include "sim/packet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/endian.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"

namespace holdfast::sim {

namespace {

constexpr std::size_t kIpAt = wire::kEthernetHeader;

std::uint16_t tcp_sum(const wire::Ipv4Header& ip, Bytes segment) {
  const auto pseudo = wire::pseudo_header_sum(ip.source, ip.destination, wire::kProtocolTcp,
                                              static_cast<std::uint32_t>(segment.size()));
  return wire::ones_complement_sum(segment, pseudo);
}

// The IPv4 header of a frame that is one whole datagram.
std::optional<wire::Ipv4Header> view_ip(Bytes frame) {
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet || ethernet->ether_type != wire::kEtherTypeIpv4) return std::nullopt;
  const Bytes datagram = frame.subspan(kIpAt);
  const std::size_t header = wire::ipv4_header_length(datagram);
  if (header == 0 || header > datagram.size()) return std::nullopt;
  const auto ip = wire::parse_ipv4(datagram, datagram.size());
  if (!ip) return std::nullopt;
  return *ip;
}

}  // namespace

Packet gather(const wire::TxFrame& frame) {
  Packet packet;
  packet.bytes.reserve(frame.size());
  for (const Bytes piece : {frame.head, frame.payload[0], frame.payload[1]}) {
    packet.bytes.insert(packet.bytes.end(), piece.begin(), piece.end());
  }
  packet.partial_checksum = frame.needs_checksum;
  packet.checksum_start = frame.checksum_start;
  packet.checksum_offset = frame.checksum_offset;
  packet.gso_size = frame.gso_size;
  return packet;
}

void finish_checksum(Packet& packet) {
  if (!packet.partial_checksum) return;
  const std::size_t start = packet.checksum_start;
  const std::size_t field = start + packet.checksum_offset;
  HF_ASSERT(field + 2 <= packet.bytes.size());
  // The field holds the pseudo-header's sum, so it is part of what is summed.
  const std::uint16_t checksum = wire::internet_checksum(Bytes(packet.bytes).subspan(start));
  store_be16(packet.bytes.data() + field, checksum);
  packet.partial_checksum = false;
}

std::vector<Packet> cut(const Packet& packet) {
  std::vector<Packet> out;
  const auto view = packet.gso_size == 0 ? std::nullopt : view_tcp(packet);
  if (!view || view->payload_size <= packet.gso_size) {
    out.push_back(packet);
    out.back().gso_size = 0;
    finish_checksum(out.back());
    return out;
  }
  const Bytes payload = Bytes(packet.bytes).subspan(view->payload_at, view->payload_size);
  std::uint16_t id = view->ip.id;
  for (std::size_t at = 0; at < payload.size(); at += packet.gso_size) {
    const Bytes piece = payload.subspan(at, std::min<std::size_t>(packet.gso_size, payload.size() - at));
    const bool last = at + piece.size() == payload.size();
    Packet part;
    part.forged = packet.forged;
    part.bytes.assign(packet.bytes.begin(), packet.bytes.begin() + static_cast<std::ptrdiff_t>(view->payload_at));
    part.bytes.insert(part.bytes.end(), piece.begin(), piece.end());

    wire::Ipv4Header ip = view->ip;
    ip.id = id++;
    ip.total_length = static_cast<std::uint16_t>(part.bytes.size() - kIpAt);
    wire::emit_ipv4(ip, MutableBytes(part.bytes).subspan(kIpAt));

    std::byte* tcp = part.bytes.data() + kIpAt + view->ip.header_length;
    store_be32(tcp + 4, view->tcp.seq.value + static_cast<std::uint32_t>(at));
    constexpr std::byte kFin{0x01}, kPsh{0x08}, kCwr{0x80};
    if (!last) tcp[13] &= ~(kFin | kPsh);
    if (at != 0) tcp[13] &= ~kCwr;
    store_be16(tcp + 16, 0);
    const Bytes segment = Bytes(part.bytes).subspan(kIpAt + view->ip.header_length);
    store_be16(tcp + 16, static_cast<std::uint16_t>(~tcp_sum(ip, segment)));
    out.push_back(std::move(part));
  }
  return out;
}

std::vector<Packet> fragment(const Packet& packet, std::uint16_t mtu) {
  std::vector<Packet> out;
  Packet whole = packet;
  if (whole.gso_size == 0) finish_checksum(whole);
  const auto ip = view_ip(whole.bytes);
  if (!ip || whole.gso_size != 0 || ip->is_fragment() || ip->total_length <= mtu || ip->header_length != 20) {
    out.push_back(std::move(whole));
    return out;
  }
  const Bytes payload = Bytes(whole.bytes).subspan(kIpAt + ip->header_length, ip->payload_length());
  const std::size_t step = (static_cast<std::size_t>(mtu) - ip->header_length) / 8 * 8;
  const auto shared = std::make_shared<const Packet>(whole);
  for (std::size_t at = 0; at < payload.size(); at += step) {
    const Bytes piece = payload.subspan(at, std::min(step, payload.size() - at));
    Packet part;
    part.forged = packet.forged;
    part.whole = shared;
    part.fragment = static_cast<unsigned>(at / step);
    part.fragments = static_cast<unsigned>((payload.size() + step - 1) / step);
    part.bytes.assign(whole.bytes.begin(),
                      whole.bytes.begin() + static_cast<std::ptrdiff_t>(kIpAt + ip->header_length));
    part.bytes.insert(part.bytes.end(), piece.begin(), piece.end());
    wire::Ipv4Header header = *ip;
    header.dont_fragment = false;
    header.more_fragments = at + piece.size() != payload.size();
    header.fragment_offset = static_cast<std::uint16_t>(at);
    header.total_length = static_cast<std::uint16_t>(ip->header_length + piece.size());
    wire::emit_ipv4(header, MutableBytes(part.bytes).subspan(kIpAt));
    out.push_back(std::move(part));
  }
  return out;
}

std::optional<TcpView> view_tcp(const Packet& packet) {
  const Bytes frame(packet.bytes);
  const auto ethernet = wire::parse_ethernet(frame);
  const auto ip = view_ip(frame);
  if (!ethernet || !ip || ip->protocol != wire::kProtocolTcp || ip->is_fragment()) return std::nullopt;
  const Bytes segment = frame.subspan(kIpAt + ip->header_length, ip->payload_length());
  const auto tcp = wire::parse_tcp(segment);
  if (!tcp) return std::nullopt;
  if (packet.partial_checksum) {
    const auto pseudo = wire::pseudo_header_sum(ip->source, ip->destination, wire::kProtocolTcp,
                                                static_cast<std::uint32_t>(segment.size()));
    if (load_be16(segment.data() + 16) != pseudo) return std::nullopt;
  } else if (tcp_sum(*ip, segment) != 0xffff) {
    return std::nullopt;
  }
  TcpView view;
  view.source_mac = ethernet->source;
  view.destination_mac = ethernet->destination;
  view.ip = *ip;
  view.tcp = tcp->header;
  view.payload_at = kIpAt + ip->header_length + tcp->header_length;
  view.payload_size = segment.size() - tcp->header_length;
  return view;
}

Packet make_tcp(wire::MacAddress from, wire::MacAddress to, wire::Ipv4Address source, wire::Ipv4Address destination,
                const wire::TcpHeader& header, Bytes payload, std::uint16_t ip_id) {
  Packet packet;
  packet.bytes.resize(kIpAt + wire::kIpv4MinHeader + wire::kTcpMaxHeader);
  wire::emit_ethernet({.destination = to, .source = from, .ether_type = wire::kEtherTypeIpv4}, packet.bytes);
  const std::size_t tcp_at = kIpAt + wire::kIpv4MinHeader;
  const std::size_t tcp_length = wire::emit_tcp(header, MutableBytes(packet.bytes).subspan(tcp_at));
  packet.bytes.resize(tcp_at + tcp_length);
  packet.bytes.insert(packet.bytes.end(), payload.begin(), payload.end());

  wire::Ipv4Header ip;
  ip.total_length = static_cast<std::uint16_t>(packet.bytes.size() - kIpAt);
  ip.id = ip_id;
  ip.dont_fragment = true;
  ip.protocol = wire::kProtocolTcp;
  ip.source = source;
  ip.destination = destination;
  wire::emit_ipv4(ip, MutableBytes(packet.bytes).subspan(kIpAt));
  const std::uint16_t sum = tcp_sum(ip, Bytes(packet.bytes).subspan(tcp_at));
  store_be16(packet.bytes.data() + tcp_at + 16, static_cast<std::uint16_t>(~sum));
  return packet;
}

namespace {

std::string describe_tcp(const TcpView& view) {
  const wire::TcpFlags& f = view.tcp.flags;
  std::string text = fmt::format("TCP {} > {} {}{}{}{}{} seq {}", view.source().to_string(),
                                 view.destination().to_string(), f.syn ? "S" : "", f.fin ? "F" : "", f.rst ? "R" : "",
                                 f.psh ? "P" : "", f.ack ? "." : "", view.tcp.seq.value);
  if (f.ack) text += fmt::format(" ack {}", view.tcp.ack.value);
  text += fmt::format(" win {} len {}", view.tcp.window, view.payload_size);
  const wire::TcpOptions& options = view.tcp.options;
  if (options.mss) text += fmt::format(" mss {}", *options.mss);
  if (options.window_scale) text += fmt::format(" ws {}", *options.window_scale);
  if (options.sack_permitted) text += " sackok";
  if (options.timestamps) text += fmt::format(" ts {}/{}", options.timestamps->value, options.timestamps->echo_reply);
  for (const wire::SackBlock& block : options.sack) {
    text += fmt::format(" sack {}-{}", block.left.value, block.right.value);
  }
  return text;
}

}  // namespace

std::string describe(const Packet& packet) {
  if (const auto view = view_tcp(packet)) {
    return describe_tcp(*view) + (packet.gso_size != 0 ? fmt::format(" gso {}", packet.gso_size) : "");
  }
  const Bytes frame(packet.bytes);
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet) return fmt::format("frame of {} bytes", frame.size());
  if (ethernet->ether_type == wire::kEtherTypeArp) {
    const auto arp = wire::parse_arp(frame.subspan(kIpAt));
    if (!arp) return "ARP, malformed";
    return fmt::format("ARP {} {} is at {}, wanted {}",
                       arp->operation == wire::ArpOperation::kRequest ? "request" : "reply", arp->sender.to_string(),
                       arp->sender_mac.to_string(), arp->target.to_string());
  }
  if (const auto ip = view_ip(frame)) {
    return fmt::format("IPv4 {} > {} protocol {} length {} fragment {}{}", ip->source.to_string(),
                       ip->destination.to_string(), ip->protocol, ip->total_length, ip->fragment_offset,
                       ip->more_fragments ? "+" : "");
  }
  return fmt::format("frame of {} bytes, type {:04x}", frame.size(), ethernet->ether_type);
}

}  // namespace holdfast::sim
