// What happens to a service group in one world, as the seed chooses it: its nodes and their clocks, the pool that they
// share, and what goes wrong with them, and when. Plain data.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "location/rados/memory_store.h"

namespace holdfast::sim {

// No clock of a node is off by more, in parts of a million.
inline constexpr std::uint32_t kMostDrift = 30'000;

struct GroupNodePlan {
  location::rados::MemoryClock clock;
  std::int64_t wall_offset = 0;  // nanoseconds
};

// The way to the pool, and the pool itself. "In n": once in so many operations; 0: never.
struct PoolFaults {
  Duration typical = std::chrono::milliseconds(1);  // about, for each way
  Duration bound = std::chrono::seconds(2);         // after which an answer counts as lost
  Duration blocklist_lag{};
  Duration patience{};           // of a node that reads and is not answered
  unsigned lost_in = 0;          // never executed
  unsigned slow_in = 0;          // executed or answered long after, several leases even
  unsigned reading_lost_in = 0;  // likewise, of what is read of segments
  unsigned writing_slow_in = 0;  // the same for what is written to segments
  unsigned taking_slow_in = 0;   // the same for taking the log and fencing, where it hurts most
};

struct GroupEvent {
  enum class Kind : std::uint8_t {
    kKill,        // SIGKILL; its keeper starts it again after `lasts`
    kStop,        // SIGSTOP for so long: what it has sent to the pool goes on
    kCutFrames,   // no frame comes or leaves
    kCutPool,     // cut off from the pool
    kHandOver,    // an operator asks the owner to give the log back
    kNoRenewals,  // no renewal of anybody arrives
    kSlowPool,    // for everybody
    kCount
  };
  Kind kind = Kind::kKill;
  Duration at{}, lasts{};
  std::optional<unsigned> node;      // none: whoever owns the log then
  std::optional<unsigned> mid_call;  // kKill, kStop: after so many frames and operations of its
  bool keeps_frames = false;         // kKill: the keeper queues what comes meanwhile
};

struct GroupPlan {
  Duration lease = std::chrono::milliseconds(400);
  std::vector<GroupNodePlan> nodes;
  PoolFaults pool;
  bool nudge = false;  // stack::Config::nudge
  std::vector<GroupEvent> events;
};

// Events end by `span`.
GroupPlan choose_group(std::uint64_t seed, Duration span);

}  // namespace holdfast::sim
