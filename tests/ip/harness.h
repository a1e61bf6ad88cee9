// An Ip between a link and a host that remember, and frames to feed it. We are 10.77.0.2 (02:…:0b), the peer
// is 10.77.0.1 (02:…:0a), as in wire/captured.h; the gateway is 10.77.0.254 (02:…:fe).
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>

#include "base/endian.h"
#include "ip/ip.h"
#include "wire/arp.h"
#include "wire/bytes.h"
#include "wire/captured.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace holdfast::ip::testing {

using namespace std::chrono_literals;
using wire::Ipv4Address;
using wire::MacAddress;
using wire::testing::Buffer;
using wire::testing::exactly;
using wire::testing::from_hex;
using wire::testing::Random;

inline constexpr MacAddress kPeerMac{{2, 0, 0, 0, 0, 0x0a}};
inline constexpr MacAddress kOurMac{{2, 0, 0, 0, 0, 0x0b}};
inline constexpr MacAddress kGatewayMac{{2, 0, 0, 0, 0, 0xfe}};
inline constexpr Ipv4Address kPeer{0x0a4d0001};
inline constexpr Ipv4Address kUs{0x0a4d0002};
inline constexpr Ipv4Address kGateway{0x0a4d00fe};
inline constexpr Ipv4Address kFarAway{0x01020304};

inline Buffer operator+(Buffer a, Bytes b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Remembers what left, in one piece each.
class RecordingLink : public wire::FrameSink {
 public:
  struct Sent {
    Buffer bytes;
    std::size_t head_size = 0;
    bool needs_checksum = false;
    std::uint16_t checksum_start = 0, checksum_offset = 0, gso_size = 0;
  };
  void transmit(const wire::TxFrame& frame) override {
    Buffer bytes = exactly(frame.head) + frame.payload[0] + frame.payload[1];
    sent.push_back(
        {bytes, frame.head.size(), frame.needs_checksum, frame.checksum_start, frame.checksum_offset, frame.gso_size});
  }
  std::deque<Sent> sent;
};

// Remembers what came up, and assertions. Questions about others leave, where storage works, as if it took no time.
class RecordingHost : public Host {
 public:
  explicit RecordingHost(RecordingLink& link) : link_(link) {}
  struct Segment {
    Ipv4Address source;
    Buffer bytes;
    std::size_t in_head = 0;
    bool checksum_trusted = false;
    std::uint16_t gso_size = 0;
    std::uint8_t ecn = 0;
    friend bool operator==(const Segment& a, const Segment& b) {
      return a.source == b.source && a.bytes == b.bytes && a.gso_size == b.gso_size && a.ecn == b.ecn;
    }
  };
  void on_tcp(const TcpDatagram& d, Time) override {
    segments.push_back({d.source, exactly(d.head) + d.body, d.head.size(), d.checksum_trusted, d.gso_size, d.ecn});
    last_head = d.head.data();
    last_body = d.body.data();
  }
  void on_icmp_error(const IcmpError& error, Time) override { errors.push_back(error); }
  void transmit_assertion(Bytes frame, Time) override {
    EXPECT_LE(frame.size(), 1514U);
    if (stored && is_question(frame)) return link_.transmit({.head = frame});
    assertions.push_back(exactly(frame));
  }
  bool assertions_stand_still() const override { return stands_still; }
  bool stored = true, stands_still = false;
  std::vector<Segment> segments;
  std::vector<IcmpError> errors;
  std::vector<Buffer> assertions;
  const std::byte* last_head = nullptr;
  const std::byte* last_body = nullptr;

 private:
  static bool is_question(Bytes frame) {
    if (wire::parse_ethernet(frame)->ether_type != wire::kEtherTypeArp) return false;
    const auto arp = *wire::parse_arp(frame.subspan(wire::kEthernetHeader));
    return arp.operation == wire::ArpOperation::kRequest && arp.target != arp.sender;
  }

  RecordingLink& link_;
};

// ---- Frames ----

inline Buffer arp_frame(const wire::ArpPacket& packet, MacAddress to) {
  Buffer frame(wire::kEthernetHeader + wire::kArpPacket);
  wire::emit_ethernet({to, packet.sender_mac, wire::kEtherTypeArp}, frame);
  wire::emit_arp(packet, MutableBytes(frame).subspan(wire::kEthernetHeader));
  return frame;
}

inline Buffer arp_request(Ipv4Address sender, MacAddress mac, Ipv4Address target) {
  return arp_frame({wire::ArpOperation::kRequest, mac, sender, {}, target}, wire::kBroadcastMac);
}

inline Buffer arp_reply(Ipv4Address sender, MacAddress mac) {
  return arp_frame({wire::ArpOperation::kReply, mac, sender, kOurMac, kUs}, kOurMac);
}

// total_length is filled in.
inline Buffer ip_frame(wire::Ipv4Header header, Bytes payload, MacAddress from = kPeerMac, MacAddress to = kOurMac) {
  Buffer frame(wire::kEthernetHeader + wire::kIpv4MinHeader);
  wire::emit_ethernet({to, from, wire::kEtherTypeIpv4}, frame);
  header.total_length = static_cast<std::uint16_t>(wire::kIpv4MinHeader + payload.size());
  wire::emit_ipv4(header, MutableBytes(frame).subspan(wire::kEthernetHeader));
  return frame + payload;
}

inline wire::Ipv4Header from_peer(std::uint8_t protocol) {
  wire::Ipv4Header header;
  header.protocol = protocol;
  header.source = kPeer;
  header.destination = kUs;
  return header;
}

inline void fix_transport_checksum(Buffer& segment, std::size_t at, std::uint8_t protocol, Ipv4Address source,
                                   Ipv4Address destination) {
  store_be16(segment.data() + at, 0);
  const std::uint16_t sum = wire::ones_complement_sum(
      segment, wire::pseudo_header_sum(source, destination, protocol, static_cast<std::uint32_t>(segment.size())));
  store_be16(segment.data() + at, static_cast<std::uint16_t>(~sum));
}

inline Buffer tcp_segment(Bytes payload, Ipv4Address source = kPeer, bool timestamps = true) {
  wire::TcpHeader header;
  header.source = wire::Port{40000};
  header.destination = wire::Port{7};
  header.seq = wire::SeqNum{1000};
  header.flags.ack = true;
  if (timestamps) header.options.timestamps = wire::TcpTimestamps{1, 2};
  Buffer segment(wire::kTcpMaxHeader);
  segment.resize(wire::emit_tcp(header, segment));
  segment = segment + payload;
  fix_transport_checksum(segment, 16, wire::kProtocolTcp, source, kUs);
  return segment;
}

inline Buffer udp_datagram(Bytes payload) {
  Buffer datagram(8);
  store_be16(datagram.data(), 5000);
  store_be16(datagram.data() + 2, 9);
  store_be16(datagram.data() + 4, static_cast<std::uint16_t>(8 + payload.size()));
  datagram = datagram + payload;
  fix_transport_checksum(datagram, 6, wire::kProtocolUdp, kPeer, kUs);
  return datagram;
}

inline Buffer icmp_message(std::uint8_t type, std::uint8_t code, std::uint32_t rest, Bytes payload) {
  Buffer message(wire::kIcmpHeader + payload.size());
  wire::emit_icmp({type, code, rest, payload}, message);
  return message;
}

inline Buffer pattern(std::size_t size, unsigned start = 0) {
  Buffer bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 7 + start) & 0xff);
  return bytes;
}

// Fragments of a datagram's payload, cut at multiples of 8 bytes.
inline std::vector<Buffer> fragments(const wire::Ipv4Header& header, Bytes payload, std::size_t size) {
  std::vector<Buffer> frames;
  for (std::size_t at = 0; at < payload.size(); at += size) {
    wire::Ipv4Header fragment = header;
    fragment.fragment_offset = static_cast<std::uint16_t>(at);
    fragment.more_fragments = at + size < payload.size();
    frames.push_back(ip_frame(fragment, payload.subspan(at, std::min(size, payload.size() - at))));
  }
  return frames;
}

// ---- The world ----

inline Config default_config() {
  return {.mac = kOurMac, .address = {kUs, 24}, .gateway = kGateway, .mtu = 1500, .seed = 0x1234567890abcdef};
}

struct World {
  explicit World(const Config& config = default_config(), bool announce = true) : ip(host, link, config) {
    if (!announce) return;
    ip.announce(now);
    advance(3s);  // both announcements are over
    host.assertions.clear();
    link.sent.clear();
  }

  // As a link would, in two pieces, each ending where its memory ends. `split` npos: all in the first.
  void receive(Bytes frame, std::size_t split = ~std::size_t{0}, bool trusted = false, std::uint16_t gso = 0) {
    split = std::min(split, frame.size());
    head = exactly(frame.first(split));
    body = exactly(frame.subspan(split));
    head.shrink_to_fit();
    body.shrink_to_fit();
    ip.on_frame({.head = head, .body = body, .checksum_trusted = trusted, .gso_size = gso}, now);
  }

  // Time passes; deadlines are kept as an event loop keeps them.
  void advance(Duration by) {
    const Time until = now + by;
    while (ip.deadline() <= until) {
      now = std::max(now, ip.deadline());
      ip.on_deadline(now);
    }
    now = until;
  }

  void meet_peer() {
    receive(arp_request(kPeer, kPeerMac, kUs));
    host.assertions.clear();
  }

  void send_tcp(Ipv4Address to, Bytes payload = {}, std::uint16_t gso = 0) {
    wire::TcpHeader header;
    header.source = wire::Port{7};
    header.destination = wire::Port{40000};
    header.flags.ack = true;
    Buffer out(wire::kTcpMaxHeader);
    out.resize(wire::emit_tcp(header, out));
    const std::size_t half = payload.size() / 2;
    ip.send_tcp(to, out, {payload.first(half), payload.subspan(half)}, gso, now);
  }

  const Counters& counters() const { return ip.counters(); }

  Time now{1000s};
  RecordingLink link;
  RecordingHost host{link};
  Buffer head, body;
  Ip ip;
};

inline wire::ArpPacket arp_of(Bytes frame) {
  EXPECT_EQ(wire::parse_ethernet(frame)->ether_type, wire::kEtherTypeArp);
  return *wire::parse_arp(frame.subspan(wire::kEthernetHeader));
}

inline bool is_arp(Bytes frame) { return wire::parse_ethernet(frame)->ether_type == wire::kEtherTypeArp; }

inline wire::Ipv4Header ipv4_of(Bytes frame) {
  const Bytes datagram = frame.subspan(wire::kEthernetHeader);
  const auto header = wire::parse_ipv4(datagram, datagram.size());
  EXPECT_TRUE(header);
  return *header;
}

}  // namespace holdfast::ip::testing
