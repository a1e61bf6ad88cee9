// What Ip is made of. receive.cc: frames in; send.cc: segments out; icmp.cc: ICMP both ways; ip.cc: the rest.
#pragma once

#include <memory>

#include "ip/ip.h"
#include "ip/neighbours.h"
#include "ip/output.h"
#include "ip/own_address.h"
#include "ip/path_mtu.h"
#include "ip/reassembly.h"
#include "ip/token_bucket.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/parse_error.h"

namespace holdfast::ip {

// An IPv4 datagram for us: not a fragment (any more), its payload in two pieces.
struct Datagram {
  wire::Ipv4Header header;
  MutableBytes head, body;
  wire::MacAddress from;  // who put it (or its last fragment) on the link
  bool checksum_trusted = false;
  std::uint16_t gso_size = 0;
  std::size_t size() const { return head.size() + body.size(); }
};

// An ICMP error is at most so long, whatever it quotes (RFC 1812 section 4.3.2.3).
inline constexpr std::size_t kMaxErrorDatagram = 576;
inline constexpr std::size_t kMaxErrorFrame = wire::kEthernetHeader + kMaxErrorDatagram;

struct Ip::Impl {
  static constexpr std::size_t kScratch = FramePool::kMaxFrame;
  static constexpr int kEchoesPerSecond = 1000;
  static constexpr int kErrorsPerSecond = 100;

  Impl(ip::Host& host, wire::FrameSink& link, const Config& configuration);

  // receive.cc
  void on_frame(wire::RxFrame frame, Time now);
  void on_arp(Bytes packet, bool to_us, Time now);
  void on_ipv4(const wire::RxFrame& frame, const wire::MacAddress& from, Time now);
  bool accept_addresses(const wire::Ipv4Header& header);
  void on_fragment(const Datagram& fragment, Time now);
  void deliver(Datagram datagram, Time now);
  void on_tcp(Datagram datagram, Time now);
  void on_udp(Datagram datagram, Time now);
  void linearise(MutableBytes& head, MutableBytes& body);
  void drop(wire::ParseError error);

  // icmp.cc
  void on_icmp(Datagram datagram, Time now);
  void on_echo_request(const Datagram& datagram, const wire::IcmpMessage& message, Time now);
  void on_icmp_error(const wire::IcmpMessage& message, Time now);
  // An ICMP error about a datagram whose payload starts with `payload`. `from`: whom to send it to where the neighbour
  // is not known.
  void send_icmp_error(std::uint8_t type, std::uint8_t code, const wire::Ipv4Header& about, Bytes payload,
                       std::optional<wire::MacAddress> from, Time now);
  Bytes emit_icmp_error(std::uint8_t type, std::uint8_t code, const wire::Ipv4Header& about, Bytes payload,
                        std::optional<wire::MacAddress> from, std::span<std::byte, kMaxErrorFrame> out);
  void send_host_unreachable(const wire::FourTuple& tuple, wire::SeqNum seq);

  // send.cc
  void send_tcp(wire::Ipv4Address destination, MutableBytes header, const std::array<Bytes, 2>& payload,
                std::uint16_t gso_size, Time now);
  std::optional<wire::Ipv4Address> next_hop(wire::Ipv4Address destination) const;
  // Writes Ethernet (destination left open) and IPv4 headers for a payload of this length at the start of `out`.
  void emit_headers(wire::Ipv4Address destination, std::uint8_t protocol, std::size_t length, MutableBytes out);

  ip::Host& host;
  const Config config;
  Counters counters;
  Output output;
  Neighbours neighbours;
  OwnAddress own_address;
  Reassembly reassembly;
  PathMtu path_mtu;
  TokenBucket echoes{kEchoesPerSecond, kEchoesPerSecond / 10};
  TokenBucket errors{kErrorsPerSecond, kErrorsPerSecond / 2};
  std::uint16_t next_id;                 // IP identification
  bool receiving = false;                // inside on_frame()
  std::unique_ptr<std::byte[]> scratch;  // kScratch bytes: a frame or datagram that had to be made whole
};

}  // namespace holdfast::ip
