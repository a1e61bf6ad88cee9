#include "log/chain.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>

#include "base/mutant.h"

namespace holdfast::log {
namespace {

// Which of two candidates for the end of the log is the newer one: by epoch, never by length.
bool newer(const BatchHeader& a, const BatchHeader& b) {
  if (HF_MUTANT(kLongestLogWins)) return a.lsn > b.lsn;
  return std::pair(a.epoch, a.lsn) > std::pair(b.epoch, b.lsn);
}

}  // namespace

// Each location's highest segment that begins with a batch (of an epoch below `below`); the newest of them.
std::optional<BatchHeader> Chain::newest_top(std::optional<Epoch> below) const {
  std::optional<BatchHeader> newest;
  for (Source* source : sources_) {
    for (const auto& number : source->segments() | std::views::keys | std::views::reverse) {
      auto header = source->first_header(SegmentNumber{number});
      if (!header || (below && header->epoch >= *below)) continue;
      if (HF_MUTANT(kLongestLogWins)) {  // as far as it goes at this location
        BatchPosition next = {header->at.segment, header->end()};
        while (const auto following = source->header_at(next, true)) {
          header = following;
          next.offset = following->end();
        }
      }
      if (!newest || newer(*header, *newest)) newest = header;
      break;
    }
  }
  return newest;
}

std::optional<EpochRun> Chain::read_start(Epoch epoch, SegmentNumber first_segment) const {
  for (Source* source : sources_) {
    const auto batch = source->batch_at({first_segment, 0}, PayloadCheck::kVerify, false);
    if (!batch || batch->header.epoch != epoch) continue;
    RecordWalk walk(body_of(batch->header, batch->bytes));
    const auto record = walk.next();
    if (!record || record->header.type != RecordType::kEpochStart) continue;
    const auto start = decode_epoch_start(record->payload);
    if (!start) continue;
    EpochRun run;
    run.epoch = epoch;
    run.first_segment = first_segment;
    run.first_lsn = batch->header.lsn;
    run.first_predecessor = batch->header.predecessor;
    run.previous = *start;
    return run;
  }
  return std::nullopt;
}

// A checkpoint gives up segments only once everything in them is durable: an epoch whose first ones it gives up has
// begun, and what is kept of it follows on what was durable.
std::optional<EpochRun> Chain::begin_of(Epoch epoch, SegmentNumber first_segment) const {
  if (first_segment >= first_kept_) return read_start(epoch, first_segment);
  EpochRun run;
  run.epoch = epoch;
  run.first_segment = first_kept_;
  run.cut = true;
  return run;
}

bool Chain::goes_back(const EpochRun& run) const {
  return run.previous.end_lsn.value != 0 && run.previous.end_segment >= first_kept_;
}

SegmentNumber Chain::mark_at(const std::optional<BatchPosition>& checkpoint) const {
  if (!checkpoint) return {};
  for (Source* source : sources_) {
    const auto batch = source->batch_at(*checkpoint, PayloadCheck::kVerify, false);
    if (!batch) continue;
    RecordWalk walk(body_of(batch->header, batch->bytes));
    while (const auto record = walk.next()) {
      if (record->header.type != RecordType::kCheckpointBegin) continue;
      const SegmentNumber first{record->header.offset};
      return first <= checkpoint->segment ? first : SegmentNumber{};
    }
  }
  return {};
}

void Chain::keep_from(SegmentNumber first) {
  if (first <= first_kept_) return;
  first_kept_ = first;
  std::erase_if(runs_, [first](const EpochRun& run) { return run.closed && run.end_segment < first; });
  if (runs_.empty() || runs_.front().first_segment >= first) return;
  EpochRun& run = runs_.front();
  run.first_segment = first;
  run.previous = {};
  run.cut = true;
}

void Chain::find() {
  runs_.clear();
  first_kept_ = {};
  std::optional<Epoch> below;
  while (const auto top = newest_top(below)) {
    first_kept_ = std::min(mark_at(top->checkpoint), top->at.segment);
    if (auto run = begin_of(top->epoch, top->epoch_segment)) {
      top_ = *top;
      runs_.push_back(*run);
      return;
    }
    // Its first batch never got there: nothing of that epoch counts. (Or it rotted: recovery looks for signs of that.)
    below = top->epoch;
  }
  first_kept_ = {};
}

Result<void> Chain::extend_to(SegmentNumber segment) {
  while (!runs_.empty() && runs_.front().first_segment > segment && goes_back(runs_.front())) {
    const EpochStart& said = runs_.front().previous;
    auto run = begin_of(said.previous, said.previous_first_segment);
    if (!run) {
      return fail(Error::Kind::kCorrupt, fmt::format("segment {}: the start of epoch {} cannot be read at any location",
                                                     said.previous_first_segment.value, said.previous.counter));
    }
    run->closed = true;
    run->end_lsn = said.end_lsn;
    run->end_mac = said.end_mac;
    run->end_segment = said.end_segment;
    run->end_offset = said.end_offset;
    runs_.insert(runs_.begin(), *run);
  }
  return {};
}

const EpochRun* Chain::run_of(SegmentNumber segment) const {
  for (const EpochRun& run : runs_) {
    if (segment >= run.first_segment && (!run.closed || segment <= run.end_segment)) return &run;
  }
  return nullptr;
}

Result<std::optional<SegmentNumber>> Chain::before(SegmentNumber segment) {
  if (runs_.empty()) return std::nullopt;
  const EpochRun* run = run_of(segment);
  if (run == nullptr) return std::nullopt;
  if (segment > run->first_segment) return SegmentNumber{segment.value - 1};
  if (!goes_back(*run)) return std::nullopt;
  const SegmentNumber end = run->previous.end_segment;
  if (auto done = extend_to(end); !done) return std::unexpected(done.error());
  return end;
}

std::optional<BatchHeader> Chain::first_header(SegmentNumber segment, Epoch epoch) const {
  for (Source* source : sources_) {
    const auto& header = source->first_header(segment);
    if (header && header->epoch == epoch) return header;
  }
  return std::nullopt;
}

}  // namespace holdfast::log
