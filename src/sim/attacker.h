// A host that means no good. It is off the path: it sees nothing, but may guess right all the same, so it is told the
// 4-tuples and picks sequence numbers next to the right ones. It forges resets, SYNs, ACKs, data, ICMP errors and ARP
// claims, sends garbage and truncated frames, asks for connections that do not exist, and floods with SYNs.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/context.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/packet.h"
#include "sim/prng.h"
#include "sim/scenario.h"

namespace holdfast::sim {

class Attacker {
 public:
  struct Place {
    wire::MacAddress mac, node_mac;
    wire::Ipv4Address address, node;
  };

  Attacker(Context& context, Network& network, Oracle& oracle, const Place& place, const AttackPlan& plan, Prng prng);

  void stop() { stopped_ = true; }

 private:
  void go_on();
  void attack();
  void go_on_flooding();
  void flood();
  void go_on_replaying();
  void withdraw_soon(wire::TcpHeader syn);
  const Flow* used_cookie();
  void receive(const Packet& packet);

  // A connection to attack: established at the node.
  bool may_be_opening(const Flow& flow);
  const Flow* victim();
  void forge_reset(const Flow& flow);
  void forge_syn(const Flow& flow);
  void forge_ack(const Flow& flow);
  void forge_data(const Flow& flow);
  void forge_icmp(const Flow& flow);
  void forge_arp();
  void garbage();
  void truncated(const Flow* flow);
  void probe();

  // A sequence number near the stream, that is not the next one and never will be.
  wire::SeqNum wrong_seq(const Flow& flow);
  // An ACK number that the node never waits for.
  wire::SeqNum wrong_ack(const Flow& flow);
  void send_as_peer(const Flow& flow, wire::TcpHeader header, Bytes payload);
  void send(Packet packet);

  Context& context_;
  Network& network_;
  Oracle& oracle_;
  Place place_;
  AttackPlan plan_;
  Prng prng_;
  Prng flood_prng_;
  unsigned flooded_ = 0;  // SYNs so far
  unsigned port_;
  bool stopped_ = false;
};

}  // namespace holdfast::sim
