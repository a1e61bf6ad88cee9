#include "sim/plain_peer.h"

#include <algorithm>

#include "sim/plain_connection.h"
#include "wire/arp.h"
#include "wire/ethernet.h"

namespace holdfast::sim {

PlainPeer::PlainPeer(Context& context, Network& network, Oracle& oracle, Place place, const PlainPeerPlan& plan,
                     Prng prng)
    : context_(context),
      network_(network),
      oracle_(oracle),
      place_(std::move(place)),
      plan_(plan),
      prng_(prng),
      port_(network.attach(place_.name, place_.mac, [this](const Packet& packet) { receive(packet); })) {
  context.faults.add(Fault::kPlainPeer);
  network.to_switch(port_) = plan.to_node;
  network.from_switch(port_) = plan.from_node;
  std::uint16_t next_port = 30000;
  for (const StreamPlan& stream : plan.streams) {
    auto& connection = *connections_.emplace_back(
        std::make_unique<Connection>(*this, stream, wire::Port{next_port++}, Prng(prng_.next(), "connection")));
    context.queue.after(stream.start, [&connection] { connection.open(); });
  }
  context.queue.after(Duration::zero(), [this] { ask_for_node(); });
}

PlainPeer::~PlainPeer() = default;

bool PlainPeer::done() const {
  return std::ranges::all_of(connections_, [](const auto& connection) { return connection->done(); });
}

std::string PlainPeer::unfinished() const {
  std::string text;
  for (const auto& connection : connections_) {
    if (!connection->done()) text += (text.empty() ? "" : "; ") + connection->progress();
  }
  return text;
}

void PlainPeer::ask_for_node() {
  if (node_mac_ && plan_.asks_again == Duration::zero()) return;
  Packet packet;
  packet.bytes.resize(wire::kEthernetHeader + wire::kArpPacket);
  wire::emit_ethernet({.destination = wire::kBroadcastMac, .source = place_.mac, .ether_type = wire::kEtherTypeArp},
                      packet.bytes);
  wire::emit_arp({.operation = wire::ArpOperation::kRequest,
                  .sender_mac = place_.mac,
                  .sender = place_.address,
                  .target_mac = {},
                  .target = place_.node},
                 MutableBytes(packet.bytes).subspan(wire::kEthernetHeader));
  network_.send(port_, std::move(packet));
  const Duration pause = node_mac_ ? plan_.asks_again : std::chrono::seconds(1);
  context_.queue.after(pause, [this] { ask_for_node(); });
}

void PlainPeer::receive_arp(Bytes bytes) {
  const auto arp = wire::parse_arp(bytes);
  if (!arp) return;
  if (arp->sender == place_.node) node_mac_ = arp->sender_mac;
  if (arp->operation != wire::ArpOperation::kRequest || arp->target != place_.address) return;
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

void PlainPeer::receive(const Packet& packet) {
  const auto ethernet = wire::parse_ethernet(packet.bytes);
  if (!ethernet) return;
  if (ethernet->ether_type == wire::kEtherTypeArp) {
    return receive_arp(Bytes(packet.bytes).subspan(wire::kEthernetHeader));
  }
  const auto view = view_tcp(packet);
  if (!view || view->ip.destination != place_.address || view->ip.source != place_.node) return;
  context_.note("{} <- {}", place_.name, describe(packet));
  for (const auto& connection : connections_) {
    if (connection->local() != view->tcp.destination) continue;
    return connection->receive(*view, Bytes(packet.bytes).subspan(view->payload_at, view->payload_size));
  }
}

bool PlainPeer::send(const wire::TcpHeader& header, Bytes payload) {
  if (!node_mac_) return false;
  Packet packet = make_tcp(place_.mac, *node_mac_, place_.address, place_.node, header, payload,
                           static_cast<std::uint16_t>(prng_.next()));
  context_.note("{} -> {}", place_.name, describe(packet));
  oracle_.peer_sends(packet);
  network_.send(port_, std::move(packet));
  return true;
}

}  // namespace holdfast::sim
