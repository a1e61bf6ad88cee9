// What one run of the checker explores: who stores, who is strict, which N, and how often each fault may happen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/side.h"

namespace holdfast::model {

// A middlebox that takes the option away.
enum class Middlebox : std::uint8_t { kNone, kAfterSyn, kAlways };

struct Scenario {
  std::string name;
  SideConfig initiator, responder;
  std::uint8_t ways = 3;  // proposed, and of the earlier connection between the same ports
  Middlebox middlebox = Middlebox::kNone;
  bool asked = true;       // false: no user opens anything; only the earlier connection's segments are about
  bool old = false;        // … which are deliverable, every one, at any time
  bool remembers = false;  // by cookie: and the responder's process has lived since then
  // So many of its sender's later steps a segment can be overtaken by; from then on it is lost. 0: any number. (SYN and
  // SYN-ACK come late without limit.)
  std::uint8_t memory = 0;
  // How often, in one run. At either side, and at both together.
  std::uint8_t crashes_of_initiator = 0, crashes_of_responder = 0, crashes = 0;
  std::uint8_t late = 0;         // roll calls that last too long, before the channel becomes fair
  std::uint8_t checkpoints = 0;  // a record is written although nobody waits for it
  std::uint8_t aborts = 0;
  std::uint8_t strips = 0;  // segments that lose their option

  const SideConfig& side(bool of_initiator) const { return of_initiator ? initiator : responder; }
};

enum class Depth : std::uint8_t { kQuick, kFull };

// All that are explored for N ways.
std::vector<Scenario> scenarios(std::uint8_t ways, Depth depth);

}  // namespace holdfast::model
