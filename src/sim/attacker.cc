#include "sim/attacker.h"

#include "wire/arp.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"

namespace holdfast::sim {

Attacker::Attacker(Context& context, Network& network, Oracle& oracle, const Place& place, const AttackPlan& plan,
                   Prng prng)
    : context_(context),
      network_(network),
      oracle_(oracle),
      place_(place),
      plan_(plan),
      prng_(prng),
      flood_prng_(prng),
      port_(network.attach("attacker", place.mac, [this](const Packet& packet) { receive(packet); })) {
  // Nothing may happen between the choice of a wrong number and its arrival.
  network.to_switch(port_).delay = Duration::zero();
  if (plan.on) go_on();
  if (plan.flood.syns == 0) return;
  go_on_flooding();
  go_on_replaying();
}

void Attacker::go_on_flooding() {
  context_.queue.after(flood_prng_.between(Duration(1), 2 * plan_.flood.gap), [this] {
    if (stopped_ || flooded_ >= plan_.flood.syns) return;
    flood();
    go_on_flooding();
  });
}

// From its own address, where what answers can be seen, and from some at which there is nobody.
void Attacker::flood() {
  const wire::Port service{flood_prng_.one_in(2) ? kStorePort : kEchoPort};
  for (unsigned i = 0; i < plan_.flood.burst && flooded_ < plan_.flood.syns; ++i, ++flooded_) {
    context_.faults.add(Fault::kSynFlood);
    wire::TcpHeader header;
    header.source = wire::Port{static_cast<std::uint16_t>(flood_prng_.between(1024, 65535))};
    header.destination = service;
    header.flags.syn = true;
    header.seq = wire::SeqNum(static_cast<std::uint32_t>(flood_prng_.next()));
    header.window = static_cast<std::uint16_t>(flood_prng_.next());
    if (flood_prng_.one_in(2)) header.options.mss = static_cast<std::uint16_t>(flood_prng_.next());
    if (flood_prng_.one_in(2)) header.options.window_scale = static_cast<std::uint8_t>(flood_prng_.below(16));
    header.options.sack_permitted = flood_prng_.one_in(2);
    if (flood_prng_.one_in(2)) header.options.timestamps = {static_cast<std::uint32_t>(flood_prng_.next()), 0};
    if (flood_prng_.one_in(3)) {
      header.options.ways = wire::WaysOption{.ways = static_cast<std::uint8_t>(flood_prng_.between(4, 74)),
                                             .step = 1,
                                             .nonce = static_cast<std::uint32_t>(flood_prng_.next())};
    }
    wire::Ipv4Address from = place_.address;
    if (flood_prng_.one_in(2))
      from.value = (from.value & ~0xffU) | static_cast<unsigned>(flood_prng_.between(100, 190));
    send(make_tcp(place_.mac, place_.node_mac, from, place_.node, header, {}));
    if (from == place_.address && flood_prng_.one_in(2)) withdraw_soon(header);
  }
}

void Attacker::go_on_replaying() {
  context_.queue.after(flood_prng_.between(Duration(1), Duration(std::chrono::milliseconds(500))), [this] {
    if (stopped_) return;
    if (const Flow* flow = used_cookie()) {
      context_.faults.add(Fault::kReplayedAck);
      Packet replayed = *flow->opener;
      replayed.for_this_life = true;  // the next one does not know which cookies were used (stack/cookies.h)
      send(std::move(replayed));
    }
    go_on_replaying();
  });
}

// As a host does that is sent a SYN-ACK for no SYN of its own: places become free while others are asked for.
void Attacker::withdraw_soon(wire::TcpHeader syn) {
  context_.queue.after(flood_prng_.between_log(std::chrono::milliseconds(1), std::chrono::seconds(2)), [this, syn] {
    if (stopped_) return;
    wire::TcpHeader header;
    header.source = syn.source;
    header.destination = syn.destination;
    header.flags.rst = true;
    header.seq = syn.seq + 1;
    send(make_tcp(place_.mac, place_.node_mac, place_.address, place_.node, header, {}));
  });
}

// A connection that was opened by a cookie, and is over, all in this life of the node: an old duplicate of its first
// ACK must not raise it.
const Flow* Attacker::used_cookie() {
  std::vector<const Flow*> over;
  for (const Flow& flow : oracle_.flows()) {
    if (!flow.opener || flow.outlived_its_node || flow.valid) continue;
    const DurableStream* stream = oracle_.model().find(flow.tuple, *flow.iss);
    if (stream != nullptr && stream->closed) over.push_back(&flow);
  }
  return over.empty() ? nullptr : flood_prng_.pick(over);
}

void Attacker::go_on() {
  context_.queue.after(prng_.between(Duration(1), 2 * plan_.gap), [this] {
    if (stopped_) return;
    attack();
    go_on();
  });
}

void Attacker::attack() {
  const Flow* flow = victim();
  const std::uint64_t kind = prng_.below(flow != nullptr ? 10 : 4);
  switch (kind) {
    case 0:
      return garbage();
    case 1:
      return truncated(flow);
    case 2:
      if (prng_.one_in(8)) forge_arp();
      return;
    case 3:
      if (plan_.probes) probe();
      return;
    case 4:
    case 5:
      return forge_reset(*flow);
    case 6:
      return forge_syn(*flow);
    case 7:
      return forge_ack(*flow);
    case 8:
      return forge_data(*flow);
    default:
      return forge_icmp(*flow);
  }
}

// Until it is stored that the peer of a dialled connection has answered, a replacement may wait for its SYN: then a
// forged SYN meets ours (RFC 9293 section 3.5), a reset needs no more than the right ACK, and nothing but
// authentication would help.
bool Attacker::may_be_opening(const Flow& flow) {
  if (!flow.dialled) return false;
  const DurableStream* stream = oracle_.model().find(flow.tuple, *flow.iss);
  return stream == nullptr || stream->irs != *flow.irs;
}

const Flow* Attacker::victim() {
  std::vector<const Flow*> live;
  for (const Flow& flow : oracle_.flows()) {
    // A cookie that was acknowledged is no connection yet.
    const bool opened = flow.valid && flow.plan != nullptr && flow.iss && flow.irs && flow.peer_answered &&
                        oracle_.model().find(flow.tuple, *flow.iss) != nullptr;
    if (opened && !may_be_opening(flow)) live.push_back(&flow);
  }
  return live.empty() ? nullptr : prng_.pick(live);
}

wire::SeqNum Attacker::wrong_seq(const Flow& flow) {
  const wire::SeqNum first = *flow.irs + 1;
  switch (prng_.below(3)) {
    case 0:  // beyond the stream's last byte and FIN, perhaps in the window
      return first + static_cast<std::uint32_t>(flow.plan->bytes + 2 + prng_.below(40000));
    case 1:  // old
      return first - static_cast<std::uint32_t>(prng_.between(2, 1U << 30));
    default:  // anywhere in the far half
      return first + static_cast<std::uint32_t>(prng_.between(1U << 30, 1U << 31));
  }
}

wire::SeqNum Attacker::wrong_ack(const Flow& flow) {
  const wire::SeqNum first = *flow.iss + 1;
  const auto beyond = static_cast<std::uint32_t>(flow.plan->bytes + 2 + prng_.below(1U << 30));
  return prng_.one_in(2) ? first + beyond : first - static_cast<std::uint32_t>(prng_.between(1U << 30, (1U << 31) - 1));
}

void Attacker::send(Packet packet) {
  packet.forged = true;
  network_.send(port_, std::move(packet));
}

void Attacker::send_as_peer(const Flow& flow, wire::TcpHeader header, Bytes payload) {
  header.source = flow.tuple.peer.port;
  header.destination = flow.tuple.local.port;
  header.window = static_cast<std::uint16_t>(prng_.next());
  // Of a timestamp it knows nothing; a new one passes PAWS, and is all the worse.
  if (flow.timestamps && flow.highest_ts && prng_.one_in(2)) {
    header.options.timestamps = {*flow.highest_ts + static_cast<std::uint32_t>(prng_.below(1000)),
                                 static_cast<std::uint32_t>(prng_.next())};
  }
  send(make_tcp(place_.mac, place_.node_mac, flow.tuple.peer.address, flow.tuple.local.address, header, payload));
}

void Attacker::forge_reset(const Flow& flow) {
  context_.faults.add(Fault::kForgedReset);
  wire::TcpHeader header;
  header.flags.rst = true;
  header.flags.ack = prng_.one_in(2);
  header.seq = wrong_seq(flow);
  header.ack = prng_.one_in(2) ? *flow.iss + 1 : wrong_ack(flow);
  send_as_peer(flow, header, {});
}

void Attacker::forge_syn(const Flow& flow) {
  // For a closed connection it would be an ordinary SYN.
  if (flow.fin_was_acked || flow.fin_acked) return;
  context_.faults.add(Fault::kForgedSyn);
  wire::TcpHeader header;
  header.flags.syn = true;
  header.flags.ack = prng_.one_in(4);
  header.seq = prng_.one_in(4) ? *flow.irs : wrong_seq(flow);
  header.ack = wrong_ack(flow);
  send_as_peer(flow, header, {});
}

void Attacker::forge_ack(const Flow& flow) {
  context_.faults.add(Fault::kForgedAck);
  wire::TcpHeader header;
  header.flags.ack = true;
  header.flags.fin = prng_.one_in(4);
  header.seq = prng_.one_in(2) ? *flow.irs + 1 + static_cast<std::uint32_t>(flow.acked) : wrong_seq(flow);
  header.ack = wrong_ack(flow);
  if (prng_.one_in(3)) {
    context_.faults.add(Fault::kForgedStep);
    header.options.ways = wire::WaysOption{.ways = flow.ways,
                                           .step = static_cast<std::uint8_t>(prng_.between(1, flow.ways)),
                                           .copies = 200,
                                           .nonce = static_cast<std::uint32_t>(prng_.next()),
                                           .echo = static_cast<std::uint32_t>(prng_.next())};
    // Before there is any data it may even guess right what is acknowledged; the nonce it cannot.
    if (flow.ways > wire::kMinWays && flow.sent_end == 0 && flow.out_end == 0 && prng_.one_in(2)) {
      header.ack = *flow.iss + 1;
      header.flags.fin = false;
      header.window = 1000;
    }
  }
  send_as_peer(flow, header, {});
}

void Attacker::forge_data(const Flow& flow) {
  context_.faults.add(Fault::kForgedData);
  std::vector<std::byte> junk(prng_.between(1, 1400));
  prng_.fill(junk);
  wire::TcpHeader header;
  header.flags.ack = !prng_.one_in(8);  // a segment without ACK is to be dropped too
  header.flags.psh = true;
  header.seq =
      prng_.one_in(2) ? *flow.irs + 1 + static_cast<std::uint32_t>(flow.acked + prng_.below(20000)) : wrong_seq(flow);
  header.ack = wrong_ack(flow);
  send_as_peer(flow, header, junk);
}

void Attacker::forge_icmp(const Flow& flow) {
  context_.faults.add(Fault::kForgedIcmp);
  // What it claims to answer: a segment from the node to the peer.
  wire::TcpHeader header;
  header.source = flow.tuple.local.port;
  header.destination = flow.tuple.peer.port;
  header.flags.ack = true;
  header.seq = prng_.one_in(2) ? *flow.iss + 1 + static_cast<std::uint32_t>(flow.out_end)
                               : wire::SeqNum(static_cast<std::uint32_t>(prng_.next()));
  const Packet quoted =
      make_tcp(place_.node_mac, place_.mac, flow.tuple.local.address, flow.tuple.peer.address, header, {});
  wire::IcmpMessage message;
  message.type = prng_.one_in(4) ? wire::kIcmpTimeExceeded : wire::kIcmpDestinationUnreachable;
  message.code = message.type == wire::kIcmpTimeExceeded ? std::uint8_t{0} : static_cast<std::uint8_t>(prng_.below(16));
  if (message.code == wire::kIcmpFragmentationNeeded) message.rest = static_cast<std::uint32_t>(prng_.between(0, 1500));
  message.payload = Bytes(quoted.bytes).subspan(wire::kEthernetHeader, 28);

  Packet packet;
  packet.bytes.resize(wire::kEthernetHeader + wire::kIpv4MinHeader + wire::kIcmpHeader + message.payload.size());
  wire::emit_ethernet({.destination = place_.node_mac, .source = place_.mac, .ether_type = wire::kEtherTypeIpv4},
                      packet.bytes);
  wire::Ipv4Header ip;
  ip.total_length = static_cast<std::uint16_t>(packet.bytes.size() - wire::kEthernetHeader);
  ip.protocol = wire::kProtocolIcmp;
  ip.source = prng_.one_in(2) ? place_.address : flow.tuple.peer.address;
  ip.destination = place_.node;
  wire::emit_ipv4(ip, MutableBytes(packet.bytes).subspan(wire::kEthernetHeader));
  wire::emit_icmp(message, MutableBytes(packet.bytes).subspan(wire::kEthernetHeader + wire::kIpv4MinHeader));
  send(std::move(packet));
}

// Claims the node's address, which the node is to defend (RFC 5227 section 2.4); never a peer's: that would be an
// attack from on the path.
void Attacker::forge_arp() {
  context_.faults.add(Fault::kForgedArp);
  Packet packet;
  packet.bytes.resize(wire::kEthernetHeader + wire::kArpPacket);
  wire::emit_ethernet({.destination = place_.node_mac, .source = place_.mac, .ether_type = wire::kEtherTypeArp},
                      packet.bytes);
  wire::emit_arp({.operation = prng_.one_in(2) ? wire::ArpOperation::kRequest : wire::ArpOperation::kReply,
                  .sender_mac = place_.mac,
                  .sender = place_.node,
                  .target_mac = {},
                  .target = place_.node},
                 MutableBytes(packet.bytes).subspan(wire::kEthernetHeader));
  send(std::move(packet));
}

void Attacker::garbage() {
  context_.faults.add(Fault::kGarbage);
  Packet packet;
  packet.bytes.resize(prng_.between(wire::kEthernetHeader, 200));
  prng_.fill(packet.bytes);
  constexpr std::uint16_t kTypes[] = {wire::kEtherTypeIpv4, wire::kEtherTypeArp, 0x86dd, 0x8100};
  // An ARP packet that happens to be whole might name anybody.
  const std::uint16_t type = kTypes[prng_.below(4)];
  if (type == wire::kEtherTypeArp) packet.bytes.resize(std::min<std::size_t>(packet.bytes.size(), 40));
  wire::emit_ethernet({.destination = place_.node_mac, .source = place_.mac, .ether_type = type}, packet.bytes);
  if (type == wire::kEtherTypeIpv4 && packet.bytes.size() > 40 && prng_.one_in(2)) {
    wire::Ipv4Header ip;
    ip.total_length = static_cast<std::uint16_t>(prng_.between(20, packet.bytes.size() - wire::kEthernetHeader));
    ip.protocol = static_cast<std::uint8_t>(prng_.one_in(2) ? wire::kProtocolTcp : prng_.below(256));
    ip.more_fragments = prng_.one_in(4);
    ip.fragment_offset = prng_.one_in(4) ? static_cast<std::uint16_t>(prng_.below(8190) * 8) : std::uint16_t{0};
    ip.source = place_.address;
    ip.destination = place_.node;
    wire::emit_ipv4(ip, MutableBytes(packet.bytes).subspan(wire::kEthernetHeader));
  }
  send(std::move(packet));
}

void Attacker::truncated(const Flow* flow) {
  context_.faults.add(Fault::kTruncated);
  wire::TcpHeader header;
  header.source = flow != nullptr ? flow->tuple.peer.port : wire::Port{4000};
  header.destination = wire::Port{kStorePort};
  header.flags.ack = header.flags.psh = true;
  header.options.timestamps = {1, 2};
  header.options.sack.push({wire::SeqNum(1), wire::SeqNum(2)});
  std::vector<std::byte> junk(100);
  prng_.fill(junk);
  Packet packet = make_tcp(place_.mac, place_.node_mac, flow != nullptr ? flow->tuple.peer.address : place_.address,
                           place_.node, header, junk);
  packet.bytes.resize(prng_.below(packet.bytes.size()));
  send(std::move(packet));
}

void Attacker::probe() {
  context_.faults.add(Fault::kProbe);
  wire::TcpHeader header;
  header.source = wire::Port{static_cast<std::uint16_t>(prng_.between(1024, 65535))};
  header.destination = wire::Port{prng_.one_in(2) ? kStorePort : static_cast<std::uint16_t>(prng_.between(1, 65535))};
  header.seq = wire::SeqNum(static_cast<std::uint32_t>(prng_.next()));
  header.ack = wire::SeqNum(static_cast<std::uint32_t>(prng_.next()));
  header.window = 1000;
  std::vector<std::byte> junk(prng_.one_in(2) ? prng_.below(100) : 0);
  switch (prng_.below(4)) {
    case 0:
      header.flags.syn = true;
      junk.clear();
      break;
    case 1:
      header.flags.fin = header.flags.ack = true;
      break;
    case 2:
      break;  // no flag at all
    default:
      header.flags.ack = true;
  }
  send(make_tcp(place_.mac, place_.node_mac, place_.address, place_.node, header, junk));
}

// It answers for its own address only: the node's answers to its probes must be able to leave.
void Attacker::receive(const Packet& packet) {
  const auto ethernet = wire::parse_ethernet(packet.bytes);
  if (!ethernet || ethernet->ether_type != wire::kEtherTypeArp) return;
  const auto arp = wire::parse_arp(Bytes(packet.bytes).subspan(wire::kEthernetHeader));
  if (!arp || arp->operation != wire::ArpOperation::kRequest || arp->target != place_.address) return;
  Packet reply;
  reply.bytes.resize(wire::kEthernetHeader + wire::kArpPacket);
  wire::emit_ethernet({.destination = arp->sender_mac, .source = place_.mac, .ether_type = wire::kEtherTypeArp},
                      reply.bytes);
  wire::emit_arp({.operation = wire::ArpOperation::kReply,
                  .sender_mac = place_.mac,
                  .sender = place_.address,
                  .target_mac = arp->sender_mac,
                  .target = arp->sender},
                 MutableBytes(reply.bytes).subspan(wire::kEthernetHeader));
  network_.send(port_, std::move(reply));
}

}  // namespace holdfast::sim
