// One world from one seed in which a service group has an address: two or three nodes that share a log in a pool, their
// clients, and what goes wrong with all of them; the oracle judges who speaks. As world.h otherwise.
#pragma once

#include "sim/world.h"

namespace holdfast::sim {

WorldResult run_group_world(std::uint64_t seed, const WorldOptions& options);

}  // namespace holdfast::sim
