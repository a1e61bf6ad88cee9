// Is a location complete below the tail? Most are known to be from their progress record and their footers; the rest
// are compared batch by batch.
#pragma once

#include <vector>

#include "log/replica_set.h"
#include "log/tail_scan.h"

namespace holdfast::log {

// `progress`: a location holds everything up to here. Adds what locations lack to `tail`. Bit i in the result: location
// i could not be compared, because nobody has something that it may lack as well.
Result<ReplicaSet> compare_history(Chain& chain, const LogKey& key, const std::vector<Lsn>& progress, Tail& tail);

}  // namespace holdfast::log
