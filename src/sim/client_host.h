// A host that runs our stack without storage: uploads to the node's services, checks what comes back, and serves the
// connections that the node dials. It can forget everything (a reboot).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sim/context.h"
#include "sim/engine_runner.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/scenario.h"

namespace holdfast::sim {

class ClientHost {
 public:
  struct Place {
    std::string name;
    wire::MacAddress mac;
    wire::Ipv4Prefix address;
    wire::Ipv4Address node;
  };

  ClientHost(Context& context, Network& network, Oracle& oracle, Place place, const ClientPlan& plan, Prng prng);
  ~ClientHost();

  unsigned port() const { return port_; }
  wire::Ipv4Address address() const { return place_.address.address; }
  // Every script has come to its end.
  bool done() const;
  // Why not, for people.
  std::string unfinished() const;
  std::size_t connections() { return runner_.engine().connections(); }

 private:
  class Script;

  void boot();
  void reboot();
  void begin(Script& script);

  Context& context_;
  Network& network_;
  Oracle& oracle_;
  Place place_;
  const ClientPlan& plan_;
  Prng prng_;
  unsigned port_;
  EngineRunner runner_;
  std::deque<std::unique_ptr<Script>> scripts_;
};

}  // namespace holdfast::sim
