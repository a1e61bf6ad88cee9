// Finds the end of the log: walks the chain from the last complete checkpoint (or a little before it) at all locations,
// and notes who lacks what.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "log/chain_walk.h"
#include "log/replica_set.h"
#include "log/segment_index.h"

namespace holdfast::log {

// Consecutive batches in one segment which the same locations have and the same lack.
struct MissingRange {
  BatchPosition begin;
  std::uint32_t end = 0;   // bytes, in the segment
  ReplicaSet present = 0;  // bit i: location i has them, or says so
  ReplicaSet lacking = 0;
};

// A segment of the tail to which nothing will be added.
struct ScannedSegment {
  SegmentIndex index;
  ReplicaSet without_footer = 0;  // bit i: location i has no good footer for it
};

struct Tail {
  bool empty = true;                // nothing was ever stored
  BatchPosition start;              // where the walk began: offset 0 of a segment
  Lsn first_lsn;                    // of the batch there
  BatchHeader last;                 // the adopted end
  std::uint64_t clock_ceiling = 0;  // highest seen
  std::uint64_t next_stream = 1;
  std::uint64_t bytes_since_checkpoint = 0;
  std::vector<MissingRange> missing;
  std::vector<std::uint64_t> missing_bytes;       // a location
  std::vector<std::optional<Lsn>> first_missing;  // a location
  std::vector<ScannedSegment> segments;
};

// The chain has been found. Fails with kCorrupt where stored batches cannot be read at any location. `reach`: how far
// behind the end to search for signs of that (rot.h).
Result<Tail> scan_tail(Chain& chain, const LogKey& key, std::uint64_t reach);

// Adds the steps of one walk; for history (history.h) as well.
void note_missing(Tail& tail, const ChainWalk::Step& step, ReplicaSet lacking);
// Whole batches from the one with this LSN on.
void note_missing(Tail& tail, const MissingRange& range, Lsn first);

}  // namespace holdfast::log
