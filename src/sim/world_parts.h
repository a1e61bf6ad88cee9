// What both kinds of world have: addresses, the peers of what is tried, and how a world comes to its end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/client_host.h"
#include "sim/context.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/plain_peer.h"
#include "sim/scenario.h"
#include "sim/world.h"
#include "stack/engine.h"
#include "wire/address.h"

namespace holdfast::sim {

inline constexpr Duration kHeartbeat = std::chrono::milliseconds(250);

// Of a host by its number: 10.77.0.x.
wire::MacAddress mac_of(unsigned host);
wire::Ipv4Address address_of(unsigned host);

// The scenario's clients and plain peers, in this order: hosts of the numbers from 10 on.
class Peers {
 public:
  Peers(Context& context, Network& network, Oracle& oracle, const Scenario& scenario, wire::Ipv4Address service);

  bool done() const;
  std::string unfinished() const;
  std::vector<wire::Ipv4Address> clients() const;
  // Begins a partition, or ends it.
  void cut(const Partition& partition, bool cut);

 private:
  Context& context_;
  Network& network_;
  std::vector<std::unique_ptr<ClientHost>> clients_;
  std::vector<std::unique_ptr<PlainPeer>> plain_peers_;
  std::vector<unsigned> ports_;
};

// "stream 1 … received 5 …": of a connection that is still there.
std::string unfinished(const stack::ConnectionInfo& info);

// Lets things happen until `complete`, or a rule is broken: that it takes too long among them.
void run_to_the_end(Context& context, const Scenario& scenario, std::uint64_t most_events, const bool& complete,
                    const std::function<std::string()>& unfinished);
WorldResult result_of(const Context& context, const Scenario& scenario, Oracle& oracle);

}  // namespace holdfast::sim
