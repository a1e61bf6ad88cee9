// Connections that the durable node opens itself, to services of client hosts. Their user lives in the node's process:
// after a crash it goes on with what the log kept of the connection, as an application would.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sim/context.h"
#include "sim/node_host.h"
#include "sim/oracle.h"
#include "sim/scenario.h"

namespace holdfast::sim {

class NodeDials {
 public:
  NodeDials(Context& context, Oracle& oracle, NodeHost& node, const std::vector<DialPlan>& plans,
            std::vector<wire::Ipv4Address> targets, Prng prng);
  ~NodeDials();

  bool done() const;
  std::string unfinished() const;

 private:
  class Dial;

  std::deque<std::unique_ptr<Dial>> dials_;
};

}  // namespace holdfast::sim
