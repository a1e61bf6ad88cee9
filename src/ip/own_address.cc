#include "ip/own_address.h"

#include <array>

#include "wire/ethernet.h"

namespace holdfast::ip {

void OwnAddress::announce(Time now) {
  if (!config_.announces) return;
  announced_ = true;
  announcements_left_ = kAnnouncements;
  next_announcement_ = now;
  on_deadline(now);
}

void OwnAddress::on_deadline(Time now) {
  if (now < next_announcement_) return;
  send_announcement(now);
  next_announcement_ = --announcements_left_ > 0 ? now + kAnnounceInterval : kNever;
}

void OwnAddress::answer(const wire::ArpPacket& request, Time now) {
  if (!announced_) return;
  if (!replies_.take(now)) {
    ++counters_.dropped_rate_limited;
    return;
  }
  send(request.sender_mac,
       {.operation = wire::ArpOperation::kReply,
        .sender_mac = config_.mac,
        .sender = config_.address.address,
        .target_mac = request.sender_mac,
        .target = request.sender},
       now);
}

void OwnAddress::defend(Time now) {
  ++counters_.arp_conflicts;
  // RFC 5227 section 2.4 (b), but without giving the address up, as (c) allows: who owns it is decided by the log, not
  // on the link.
  if (!announced_ || now < defend_again_) return;
  defend_again_ = now + kDefendInterval;
  send_announcement(now);
}

// RFC 5227 section 2.3: a request for the address that it is sent from.
void OwnAddress::send_announcement(Time now) {
  send(wire::kBroadcastMac,
       {.operation = wire::ArpOperation::kRequest,
        .sender_mac = config_.mac,
        .sender = config_.address.address,
        .target_mac = {},
        .target = config_.address.address},
       now);
}

void OwnAddress::send(const wire::MacAddress& to, const wire::ArpPacket& packet, Time now) {
  std::array<std::byte, wire::kEthernetHeader + wire::kArpPacket> frame;
  wire::emit_ethernet({to, config_.mac, wire::kEtherTypeArp}, frame);
  wire::emit_arp(packet, MutableBytes(frame).subspan(wire::kEthernetHeader));
  output_.transmit_assertion(frame, now);
}

}  // namespace holdfast::ip
