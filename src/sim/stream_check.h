// Reads everything back with log::Reader, from the disks as they are, and compares: every byte that was acknowledged to
// a peer, or that the oracle's model holds durable, must be there, in order, right.
#pragma once

#include <memory>
#include <vector>

#include "sim/context.h"
#include "sim/disk.h"
#include "sim/oracle.h"

namespace holdfast::sim {

void check_streams(Context& context, Oracle& oracle, const std::vector<std::unique_ptr<Disk>>& disks);

}  // namespace holdfast::sim
