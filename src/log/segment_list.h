// The segments of a chain, each with the LSNs that it holds: as their first batches say, or where these cannot be read
// their footers.
#pragma once

#include <vector>

#include "log/chain.h"

namespace holdfast::log {

struct ChainSegment {
  SegmentNumber number;
  Epoch epoch;
  Lsn first;  // where no location can say it: one more than what is known to lie before
  bool known_first = false;
  Lsn last;  // of a segment to which nothing will be added, where that is known; else 0
  // Its end is not known: `last` is as far as it could be read.
  bool cut = false;
};

// Ascending, every segment that the chain's runs name, whether anything of it is there or not.
std::vector<ChainSegment> list_segments(const Chain& chain, const LogKey& key);

}  // namespace holdfast::log
