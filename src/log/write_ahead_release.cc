// The oldest segments are given up. A checkpoint's begin record says which segment is the first that is kept, and the
// checkpoint holds anew what live connections need: so the segments in front of it can go once no later start can begin
// with an older checkpoint. That is when the first header of a segment which names this one is durable: a start looks
// for the newest of those.
#include <algorithm>
#include <array>

#include "base/mutant.h"
#include "log/write_ahead_log.h"

namespace holdfast::log {

void WriteAheadLog::tell_wall_clock(std::uint64_t now) {
  wall_clock_ = now;
  look_ = true;
}

void WriteAheadLog::release_before(SegmentNumber first_kept) {
  asked_ = std::max(asked_, std::min(first_kept, cursor_.segment()));
  look_ = true;
}

std::optional<std::uint64_t> WriteAheadLog::ask_when_sealed(SegmentNumber segment) {
  std::array<std::byte, kBlock> block;
  for (const Replica& replica : replicas_) {
    if (!replica.active() || !replica.location()->read(segment, key_.segment_size - kBlock, block)) continue;
    const auto trailer = SegmentIndex::decode_trailer(block, key_, segment);
    if (trailer && trailer->sealed_at != 0) return trailer->sealed_at;
  }
  return std::nullopt;
}

// The first segment to be kept, where a checkpoint should begin that gives up what lies in front of it.
std::optional<SegmentNumber> WriteAheadLog::mark_due() {
  if (pacer_.running() || durable_ < epoch_start_ || (goal_ <= mark_begun_ && !look_)) return std::nullopt;
  if (goal_ <= mark_begun_) {
    look_ = false;
    goal_ = kept_.first_kept(options_.retention, asked_, cursor_.segment(), durable_, key_.segment_size, wall_clock_,
                             [this](SegmentNumber segment) { return ask_when_sealed(segment); });
    if (goal_ <= mark_begun_) return std::nullopt;
  }
  if (anew_stepped_ == next_lsn_) return std::nullopt;
  if (!HF_MUTANT(kReleaseNeeded) && checkpoint_source_->write_anew(goal_, CheckpointPacer::kStepBytes)) {
    anew_stepped_ = next_lsn_;
    return std::nullopt;
  }
  const SegmentNumber goal = std::exchange(goal_, SegmentNumber{});
  const SegmentNumber mark = HF_MUTANT(kReleaseNeeded) ? goal : std::min(goal, checkpoint_source_->first_needed(goal));
  return mark > mark_begun_ ? std::optional(mark) : std::nullopt;
}

// Somebody waits for the room: then the next segment is begun as soon as the checkpoint is stored, and not once this
// one is full.
void WriteAheadLog::hurry_release() {
  if (mark_complete_ <= mark_anchored_ || leave_segment_) return;
  if (asked_ <= mark_anchored_ && !full()) return;
  if (!pacer_.complete() || durable_ < pacer_.complete()->end_lsn || quorum_lost()) return;
  if (!segment_ready(cursor_.segment() + 1)) return;
  const bool at_begin = builder_.active() ? slots_[open_slot_].header.at.offset == 0 : !cursor_.begun();
  if (builder_.active() && !at_begin) seal_open();
  leave_segment_ = !at_begin;
  barrier();
}

void WriteAheadLog::free_released(std::size_t i) {
  Replica& replica = replicas_[i];
  const Lsn held = std::min(durable_, replica.prefix());
  SegmentNumber before;
  for (const Anchor& anchor : anchors_) {
    if (anchor.lsn <= held) before = anchor.first_kept;
  }
  if (HF_MUTANT(kReleaseUnmarked)) before = mark_begun_;
  if (replica.holds_before(before) && !footers_.give_up(static_cast<unsigned>(i), before)) replica.release(before);
  replica.remove_released();
}

Released WriteAheadLog::released() const {
  Released all;
  for (const Anchor& anchor : anchors_) {
    if (anchor.lsn <= durable_) all.first_kept = anchor.first_kept;
  }
  for (const Replica& replica : replicas_) {
    if (!replica.active()) continue;
    all.waiting += replica.waiting();
    all.freed += replica.freed();
  }
  return all;
}

bool WriteAheadLog::release_settled() const {
  if (quorum_lost()) return true;
  if (look_ || goal_ > mark_begun_ || pacer_.running() || mark_complete_ > mark_anchored_) return false;
  const Lsn durable = durable_;
  if (std::ranges::any_of(anchors_, [durable](const Anchor& anchor) { return anchor.lsn > durable; })) return false;
  return std::ranges::none_of(replicas_, [this](const Replica& replica) {
    return replica.active() && (replica.holds_before(mark_anchored_) || replica.removing());
  });
}

}  // namespace holdfast::log
