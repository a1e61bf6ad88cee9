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

void Chain::find() {
  runs_.clear();
  std::optional<Epoch> below;
  while (const auto top = newest_top(below)) {
    if (auto run = read_start(top->epoch, top->epoch_segment)) {
      top_ = *top;
      runs_.push_back(*run);
      return;
    }
    // Its first batch never got there: nothing of that epoch counts. (Or it rotted: recovery looks for signs of that.)
    below = top->epoch;
  }
}

Result<void> Chain::extend_to(SegmentNumber segment) {
  while (!runs_.empty() && runs_.front().first_segment > segment && runs_.front().previous.end_lsn.value != 0) {
    const EpochStart& said = runs_.front().previous;
    auto run = read_start(said.previous, said.previous_first_segment);
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
  if (run->previous.end_lsn.value == 0) return std::nullopt;
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
