// Reads everything back with log::Reader, from the disks as they are, and compares: every byte that was acknowledged to
// a peer, or that the oracle's model holds durable, must be there, in order, right.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/context.h"
#include "sim/disk.h"
#include "sim/oracle.h"

namespace holdfast::sim {

// Rot that no start has repaired yet may have taken the newest batch from all locations but one: nothing is lost, but a
// reader cannot tell such a batch from one that never was durable. What it shows must still be right.
enum class Tail : std::uint8_t { kWhole, kMayBeRotten };

void check_streams(Context& context, Oracle& oracle, const std::vector<std::unique_ptr<Disk>>& disks, Tail tail,
                   std::uint64_t retain_bytes);
// The same from any places.
void check_streams(Context& context, Oracle& oracle, const std::vector<location::Location*>& locations, Tail tail,
                   std::uint64_t retain_bytes);

}  // namespace holdfast::sim
