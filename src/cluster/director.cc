#include "cluster/director.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "cluster/relay.h"
#include "wire/tcp.h"

namespace holdfast::cluster {
Director::Director(const Config& config) : config_(config), routes_(config.buckets.count) {
  HF_ASSERT(config.buckets.count > 0 && config.buckets.count <= kMostBuckets);
}

void Director::set_members(std::vector<wire::MacAddress> macs) {
  std::ranges::sort(macs);
  members_ = std::move(macs);
}

Director::Decision Director::decide(const wire::RxFrame& frame) {
  HF_ASSERT(frame.body.empty());
  const auto ethernet = wire::parse_ethernet(frame.head);
  const bool to_us = ethernet && ethernet->destination == config_.mac;
  if (to_us || (ethernet && ethernet->destination == wire::kBroadcastMac)) {
    if (ethernet->ether_type == wire::kEtherTypeArp) return on_arp(frame.head.subspan(wire::kEthernetHeader));
    if (ethernet->ether_type == wire::kEtherTypeIpv4 && to_us) return on_ipv4(frame, ethernet->source);
  }
  ++counters_.dropped_strays;
  return {};
}

Director::Decision Director::on_arp(Bytes packet) {
  const auto arp = wire::parse_arp(packet);
  if (!arp) {
    ++counters_.dropped_strays;
    return {};
  }
  const bool asks = arp->operation == wire::ArpOperation::kRequest;
  if (!asks || !config_.node || arp->target != *config_.node || arp->sender == *config_.node) {
    ++counters_.here;
    return {.verdict = Verdict::kAllWorkers, .bucket = 0, .out = {}};
  }
  // Nothing that is stored hangs on the node's own address.
  ++counters_.answered;
  return {.verdict = Verdict::kTransmit,
          .bucket = 0,
          .out = this->arp(arp->sender_mac, {.operation = wire::ArpOperation::kReply,
                                             .sender_mac = config_.mac,
                                             .sender = *config_.node,
                                             .target_mac = arp->sender_mac,
                                             .target = arp->sender})};
}

Director::Decision Director::on_ipv4(const wire::RxFrame& frame, const wire::MacAddress& from) {
  const Bytes datagram = frame.head.subspan(wire::kEthernetHeader);
  const auto found = classify(config_.buckets, config_.service, datagram, datagram.size());
  if (found.kind == Classified::Kind::kStray) {
    ++counters_.dropped_strays;
    return {};
  }
  if (found.kind == Classified::Kind::kFragment) {
    ++counters_.dropped_fragments;
    return {};
  }
  const Route& route = routes_[found.bucket];
  switch (route.kind) {
    case Route::Kind::kHere:
      ++counters_.here;
      return {.verdict = Verdict::kWorker, .bucket = found.bucket, .out = {}};
    case Route::Kind::kThere:
      if (std::ranges::binary_search(members_, from) || !lower_ttl(frame.head.subspan(wire::kEthernetHeader))) {
        ++counters_.dropped_again;
        return {};
      }
      return pass_on(frame, route.mac);
    case Route::Kind::kNobody:
      break;
  }
  ++counters_.dropped_nobodys;
  return {};
}

Director::Decision Director::pass_on(const wire::RxFrame& frame, const wire::MacAddress& to) {
  const MutableBytes datagram = frame.head.subspan(wire::kEthernetHeader);
  const auto ip = wire::parse_ipv4(datagram, datagram.size());
  HF_ASSERT(ip.has_value());
  Decision decision{.verdict = Verdict::kTransmit, .bucket = 0, .out = {}};
  const std::size_t header = ip->header_length;
  if (ip->protocol == wire::kProtocolTcp && (frame.checksum_trusted || frame.gso_size != 0) &&
      datagram.size() >= header + wire::kTcpMinHeader) {
    leave_checksum_to_be_done(datagram, *ip, frame.gso_size, decision.out);
  }
  wire::emit_ethernet({to, config_.mac, wire::kEtherTypeIpv4}, frame.head);
  // A super-segment is cut behind its headers, which is where `head` must end.
  std::size_t cut = frame.head.size();
  if (decision.out.gso_size != 0) {
    const std::size_t tcp = std::to_integer<std::size_t>(datagram[header + 12] >> 4) * 4;
    cut = std::min(cut, wire::kEthernetHeader + header + tcp);
  }
  decision.out.head = frame.head.first(cut);
  decision.out.payload[0] = frame.head.subspan(cut);
  ++counters_.passed_on;
  return decision;
}

bool Director::announcement(wire::TxFrame& out) {
  if (!config_.node) return false;
  out = arp(wire::kBroadcastMac, {.operation = wire::ArpOperation::kRequest,
                                  .sender_mac = config_.mac,
                                  .sender = *config_.node,
                                  .target_mac = {},
                                  .target = *config_.node});
  return true;
}

wire::TxFrame Director::arp(const wire::MacAddress& to, const wire::ArpPacket& packet) {
  wire::emit_ethernet({to, config_.mac, wire::kEtherTypeArp}, answer_);
  wire::emit_arp(packet, MutableBytes(answer_).subspan(wire::kEthernetHeader));
  wire::TxFrame frame;
  frame.head = answer_;
  return frame;
}

}  // namespace holdfast::cluster
