// The one sequence of batches that counts, found among everything that the locations hold: the epochs, each with the
// segments it wrote, linked backwards by their epoch-start records. Whatever is not linked from the newest epoch (the
// tail of an owner that lost, a late write of a dead process) is not part of it.
#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "log/record_codec.h"
#include "log/source.h"

namespace holdfast::log {

// The part of the chain that one epoch wrote: segments first_segment … end_segment, numbered without gaps.
struct EpochRun {
  Epoch epoch;
  SegmentNumber first_segment;
  Lsn first_lsn;  // the epoch-start batch, at offset 0 of first_segment
  std::uint64_t first_predecessor = 0;
  // Closed: a later epoch says where this one ended.
  bool closed = false;
  Lsn end_lsn;
  std::uint64_t end_mac = 0;
  SegmentNumber end_segment;
  std::uint32_t end_offset = 0;
  EpochStart previous;  // of a cut run: nothing
  // Its first segments are released: it begins at the first that is kept, first_lsn and first_predecessor mean nothing.
  bool cut = false;
};

class Chain {
 public:
  explicit Chain(std::vector<Source*> sources) : sources_(std::move(sources)) {}

  // Finds the newest epoch whose start is there. An empty log has no runs.
  void find();
  // The first segment that is kept, as the newest header at a segment's start knows it; 0: all are.
  SegmentNumber first_kept() const { return first_kept_; }
  // What a checkpoint's begin says of it.
  SegmentNumber mark_at(const std::optional<BatchPosition>& checkpoint) const;
  // A later checkpoint says that less is kept. No walk must be under way.
  void keep_from(SegmentNumber first);
  // Makes sure that the runs reach back to this segment, or to the first that is kept.
  Result<void> extend_to(SegmentNumber segment);

  bool empty() const { return runs_.empty(); }
  const std::vector<EpochRun>& runs() const { return runs_; }  // oldest first
  // The newest header at a segment's start that led here.
  const BatchHeader& top() const { return top_; }
  // The segment of the chain in front of this one; nullopt at the chain's begin. Needs extend_to().
  Result<std::optional<SegmentNumber>> before(SegmentNumber segment);
  const EpochRun* run_of(SegmentNumber segment) const;
  // First header of a segment of the chain, from whichever location has it.
  std::optional<BatchHeader> first_header(SegmentNumber segment, Epoch epoch) const;

  const std::vector<Source*>& sources() const { return sources_; }

 private:
  std::optional<BatchHeader> newest_top(std::optional<Epoch> below) const;
  std::optional<EpochRun> read_start(Epoch epoch, SegmentNumber first_segment) const;
  std::optional<EpochRun> begin_of(Epoch epoch, SegmentNumber first_segment) const;
  bool goes_back(const EpochRun& run) const;

  std::vector<Source*> sources_;
  std::vector<EpochRun> runs_;
  SegmentNumber first_kept_;
  BatchHeader top_;
};

}  // namespace holdfast::log
