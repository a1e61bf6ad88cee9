// Frames for tests of this layer.
#pragma once

#include <cstddef>
#include <vector>

#include "base/endian.h"
#include "wire/address.h"
#include "wire/ethernet.h"
#include "wire/frame.h"
#include "wire/ipv4.h"

namespace holdfast::cluster::test {

inline constexpr wire::MacAddress kOwnMac{{2, 0, 0, 0, 0, 1}}, kOtherMac{{2, 0, 0, 0, 0, 2}},
    kRouterMac{{2, 0, 0, 0, 0, 9}};
inline constexpr wire::Ipv4Address kService{0x0a4d0002}, kPeer{0x0a630005}, kNode{0x0a4d0065};

using Frame = std::vector<std::byte>;

inline wire::RxFrame whole(Frame& frame) {
  wire::RxFrame received;
  received.head = frame;
  return received;
}

struct Segment {
  wire::FourTuple tuple{{kService, wire::Port{7000}}, {kPeer, wire::Port{40000}}};
  wire::MacAddress to = kOwnMac, from = kRouterMac;
  std::uint8_t ttl = 64;
  bool more_fragments = false;
  std::size_t payload = 10;
};

// With the least of a TCP header.
inline Frame frame_of(const Segment& segment) {
  Frame frame(wire::kEthernetHeader + 40 + segment.payload);
  wire::emit_ethernet({segment.to, segment.from, wire::kEtherTypeIpv4}, frame);
  const MutableBytes datagram = MutableBytes(frame).subspan(wire::kEthernetHeader);
  wire::emit_ipv4({.total_length = static_cast<std::uint16_t>(datagram.size()),
                   .more_fragments = segment.more_fragments,
                   .ttl = segment.ttl,
                   .protocol = wire::kProtocolTcp,
                   .source = segment.tuple.peer.address,
                   .destination = segment.tuple.local.address},
                  datagram);
  std::byte* const ip = datagram.data();
  store_be16(ip + 20, segment.tuple.peer.port.value);
  store_be16(ip + 22, segment.tuple.local.port.value);
  ip[32] = std::byte{0x50};
  return frame;
}

}  // namespace holdfast::cluster::test
