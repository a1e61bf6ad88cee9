// Runs many seeds in child processes: one that dies of an assertion, or never ends, is a failing seed like any other
// and does not end the run.
//
// Not for use beside threads (it forks).
#pragma once

#include <cstdint>
#include <functional>

#include "sim/world.h"

namespace holdfast::sim {

struct SeedRange {
  std::uint64_t first = 1, count = 1;
};

// The world of this seed.
WorldResult run_any_world(WorldKind kind, std::uint64_t seed, const WorldOptions& options);

struct RunOptions {
  WorldKind kind = WorldKind::kNode;
  unsigned jobs = 1;
  bool quiet = false;              // what children say (failed assertions) is not shown
  unsigned seconds_per_seed = 30;  // processor time, after which a world counts as endless
};

// `done` gets each result as it comes, in any order; false stops the run.
void run_seeds(const SeedRange& range, const RunOptions& options, const std::function<bool(const WorldResult&)>& done);

}  // namespace holdfast::sim
