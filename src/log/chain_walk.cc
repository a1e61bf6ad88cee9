#include "log/chain_walk.h"

#include <fmt/core.h>

#include "base/assert.h"

namespace holdfast::log {
namespace {

// Something was there, as far as the location shows: segments are made one after the other, and whole.
bool is_damaged(Source& source, BatchPosition at) {
  if (source.has(at.segment)) return !source.is_blank(at);
  const auto& there = source.segments();
  return there.contains(at.segment.value) || there.contains(at.segment.value - 1) ||
         there.upper_bound(at.segment.value) != there.end();
}

}  // namespace

ChainWalk::ChainWalk(const Chain& chain, BatchPosition start, Look look)
    : chain_(chain), look_(look), run_(chain.run_of(start.segment)), position_(start) {
  HF_ASSERT(run_ != nullptr);
  if (run_->cut || start != BatchPosition{run_->first_segment, 0}) return;
  expected_ = run_->first_lsn;
  predecessor_ = run_->first_predecessor;
}

std::optional<ChainWalk::Step> ChainWalk::look(BatchPosition at) {
  std::optional<Step> found;
  ReplicaSet bit = 1, damaged = 0;
  for (Source* source : chain_.sources()) {
    const auto batch = source->batch_at(at);
    const bool fits = batch && batch->header.epoch == run_->epoch &&
                      (!expected_ || (batch->header.lsn == *expected_ && batch->header.predecessor == predecessor_));
    if (fits && !found) found = Step{batch->header, batch->bytes, 0};
    if (fits && batch->header.mac == found->header.mac) found->present |= bit;
    if (found && look_ == Look::kAny) break;
    if (!batch && look_ == Look::kAll && is_damaged(*source, at)) damaged |= bit;
    bit <<= 1;
  }
  if (found) found->damaged = damaged;
  return found;
}

void ChainWalk::accept(const Step& step) {
  last_ = step.header;
  expected_ = step.header.lsn + 1;
  predecessor_ = step.header.mac;
  position_ = {step.header.at.segment, step.header.end()};
}

Result<std::optional<ChainWalk::Step>> ChainWalk::next() {
  if (run_->closed && last_ && last_->lsn == run_->end_lsn) {
    const EpochRun* following = run_ + 1;
    HF_ASSERT(following < chain_.runs().data() + chain_.runs().size());
    run_ = following;
    position_ = {run_->first_segment, 0};
  }
  auto step = look(position_);
  const bool more_segments = !run_->closed || position_.segment < run_->end_segment;
  if (!step && position_.offset > 0 && more_segments) step = look({position_.segment + 1, 0});
  if (step) {
    accept(*step);
    const bool misses_end =
        run_->closed && (last_->lsn > run_->end_lsn || (last_->lsn == run_->end_lsn && last_->mac != run_->end_mac));
    if (!misses_end) return step;
  } else if (!run_->closed) {
    return std::nullopt;
  }
  return fail(
      Error::Kind::kCorrupt,
      fmt::format("segment {} offset {}: a stored batch{} cannot be read at any location", position_.segment.value,
                  position_.offset, expected_ ? fmt::format(" (LSN {})", expected_->value) : ""));
}

}  // namespace holdfast::log
