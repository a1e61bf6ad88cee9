// Brings locations up to the adopted end: clears away what can never count, copies what they lack, closes segments with
// footers.
#pragma once

#include <vector>

#include "log/replica_set.h"
#include "log/tail_scan.h"

namespace holdfast::log {

class Repair {
 public:
  Repair(const Chain& chain, const LogKey& key, const Tail& tail) : chain_(chain), key_(key), tail_(tail) {}

  // Segments behind the adopted end were prepared and not used, or belong to an owner that lost: up to `keep` of them
  // become segments first, first + 1, …, the rest goes. Returns how many are ready. Must come before copy(): a
  // location's highest written segment must belong to the newest epoch that it has seen. Where there is no room for the
  // new names, fewer are ready.
  Result<unsigned> clear_behind_end(std::size_t source, SegmentNumber first, unsigned keep);

  // Writes everything that this location lacks.
  Result<void> copy(std::size_t source);

  // The location is complete: says so in the footers that it lacks.
  Result<void> write_footers(std::size_t source);

  // Makes a whole segment in front of the tail anew which this location had and has lost. `spare`: a number behind the
  // end that nothing uses. After an error it still lacks the segment, and nothing else; a damaged file may be gone.
  Result<void> restore(std::size_t source, SegmentNumber segment, SegmentNumber spare);

 private:
  Result<unsigned> give_up_renaming(Source& source, const std::vector<SegmentNumber>& renamed, SegmentNumber first,
                                    std::vector<std::size_t> without_room);
  Result<void> make_room(Source& target, SegmentNumber segment);
  Result<void> copy_range(Source& target, const MissingRange& range);
  Result<SegmentIndex> copy_chain(Source& target, SegmentNumber segment, Lsn last, SegmentNumber into);
  std::optional<Lsn> end_of(SegmentNumber segment) const;
  Result<void> write_footer(Source& target, const SegmentIndex& index, SegmentNumber into);
  Result<void> copy_footer(std::size_t source, SegmentNumber segment);
  std::optional<Source::Batch> good_copy(BatchPosition at, ReplicaSet present);

  const Chain& chain_;
  const LogKey& key_;
  const Tail& tail_;
};

}  // namespace holdfast::log
