#include "cluster/bucket.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/endian.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"

namespace holdfast::cluster {
namespace {

wire::FourTuple tuple_of(wire::Ipv4Address local, wire::Ipv4Address peer, const std::byte* local_port,
                         const std::byte* peer_port) {
  return {{local, wire::Port{load_be16(local_port)}}, {peer, wire::Port{load_be16(peer_port)}}};
}

}  // namespace

Bucket bucket_of(const Buckets& buckets, const wire::FourTuple& tuple) {
  std::array<std::byte, 12> input;
  store_be32(input.data(), tuple.local.address.value);
  store_be32(input.data() + 4, tuple.peer.address.value);
  store_be16(input.data() + 8, tuple.local.port.value);
  store_be16(input.data() + 10, tuple.peer.port.value);
  return static_cast<Bucket>((prf(buckets.key, input) >> 32) * buckets.count >> 32);
}

std::string bucket_group(const std::string& service, Bucket bucket) {
  return fmt::format("{}.b{:03}", service, bucket);
}

Classified classify(const Buckets& buckets, wire::Ipv4Address service, Bytes datagram, std::size_t available) {
  using Kind = Classified::Kind;
  const std::size_t length = wire::ipv4_header_length(datagram);
  if (length < wire::kIpv4MinHeader || datagram.size() < length) return {};
  const auto ip = wire::parse_ipv4(datagram, available);
  if (!ip || ip->destination != service) return {};
  if (ip->is_fragment()) return {Kind::kFragment, 0};
  const Bytes payload = datagram.subspan(length, std::min(datagram.size() - length, ip->payload_length()));
  if (ip->protocol == wire::kProtocolTcp) {
    if (payload.size() < 4) return {};
    const auto tuple = tuple_of(service, ip->source, payload.data() + 2, payload.data());
    return {Kind::kTcp, bucket_of(buckets, tuple)};
  }
  if (ip->protocol != wire::kProtocolIcmp || payload.size() <= wire::kIcmpHeader) return {Kind::kOther, 0};
  const auto type = std::to_integer<std::uint8_t>(payload[0]);
  if (type != wire::kIcmpDestinationUnreachable && type != wire::kIcmpTimeExceeded &&
      type != wire::kIcmpParameterProblem) {
    return {Kind::kOther, 0};
  }
  // Whether it holds is checked by whom it is for.
  const Bytes quoted = payload.subspan(wire::kIcmpHeader);
  const auto inner = wire::parse_quoted_ipv4(quoted);
  if (!inner || inner->source != service || inner->protocol != wire::kProtocolTcp || inner->fragment_offset != 0 ||
      quoted.size() < inner->header_length + std::size_t{4}) {
    return {};
  }
  const std::byte* const ports = quoted.data() + inner->header_length;
  return {Kind::kIcmpError, bucket_of(buckets, tuple_of(service, inner->destination, ports, ports + 2))};
}

bool belongs(const Buckets& buckets, wire::Ipv4Address service, Bucket bucket, const wire::RxFrame& frame) {
  constexpr std::size_t kEnough = wire::kEthernetHeader + wire::kIpv4MaxHeader + 4;
  std::array<std::byte, kEnough> whole;
  Bytes head = frame.head;
  if (head.size() < kEnough && !frame.body.empty()) {
    const std::size_t more = std::min(kEnough - head.size(), frame.body.size());
    std::memcpy(whole.data(), head.data(), head.size());
    std::memcpy(whole.data() + head.size(), frame.body.data(), more);
    head = Bytes(whole).first(head.size() + more);
  }
  const auto ethernet = wire::parse_ethernet(head);
  if (!ethernet || ethernet->ether_type != wire::kEtherTypeIpv4) return true;
  const Bytes datagram = head.subspan(wire::kEthernetHeader);
  const std::size_t available = frame.head.size() + frame.body.size() - wire::kEthernetHeader;
  const auto found = classify(buckets, service, datagram, available);
  return found.kind != Classified::Kind::kTcp || found.bucket == bucket;
}

}  // namespace holdfast::cluster
