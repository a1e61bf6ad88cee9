// A host with a small TCP of its own, which shares no code with ours: go-back-N, no SACK, window scale and timestamps
// only where the plan says so, a receive buffer that its reader empties slowly. What our stack gets wrong at both ends
// in the same way, this one notices.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "sim/context.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/packet.h"
#include "sim/scenario.h"

namespace holdfast::sim {

class PlainPeer {
 public:
  struct Place {
    std::string name;
    wire::MacAddress mac;
    wire::Ipv4Address address, node;
  };

  PlainPeer(Context& context, Network& network, Oracle& oracle, Place place, const PlainPeerPlan& plan, Prng prng);
  ~PlainPeer();

  unsigned port() const { return port_; }
  bool done() const;
  std::string unfinished() const;

 private:
  class Connection;

  void receive(const Packet& packet);
  void receive_arp(Bytes packet);
  void ask_for_node();
  // False while the node's link address is unknown.
  bool send(const wire::TcpHeader& header, Bytes payload);

  Context& context_;
  Network& network_;
  Oracle& oracle_;
  Place place_;
  const PlainPeerPlan& plan_;
  Prng prng_;
  unsigned port_;
  std::optional<wire::MacAddress> node_mac_;
  std::deque<std::unique_ptr<Connection>> connections_;
};

}  // namespace holdfast::sim
