// Tells rot from the end of the log. Behind the last batch of the chain there may be holes and torn writes that were
// never durable; but a valid batch further on that was issued when more than this was known to be durable proves that
// something stored has vanished.
#pragma once

#include <vector>

#include "log/source.h"

namespace holdfast::log {

// Bytes to search at the least: more than any batch.
inline constexpr std::uint64_t kLeastReach = 9U << 20;

// No location has the batch `missing`, which would begin at `end` or in a later segment. kCorrupt where it was stored
// once. An empty chain: `end` is zero. Searches `reach` bytes of log, the largest batch at least, behind `end` and
// behind each later batch that it finds, and in every later segment whose first block is not blank: a start must not
// have to read segments that are empty, and what was under way together with the missing batch follows it without a
// gap.
Result<void> check_for_rot(const std::vector<Source*>& sources, const LogKey& key, BatchPosition end, Lsn missing,
                           std::uint64_t reach);

}  // namespace holdfast::log
