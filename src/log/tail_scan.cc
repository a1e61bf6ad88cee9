#include "log/tail_scan.h"

#include <fmt/core.h>

#include <algorithm>

#include "log/footer_reader.h"
#include "log/rot.h"

namespace holdfast::log {
namespace {

ReplicaSet all_of(const Chain& chain) { return first_replicas(chain.sources().size()); }

// Locations whose footer of this segment is missing, or speaks of another end.
ReplicaSet without_footer(const Chain& chain, const LogKey& key, const SegmentIndex& index) {
  ReplicaSet without = 0;
  for (std::size_t i = 0; i < chain.sources().size(); ++i) {
    if (!find_trailer(*chain.sources()[i], key, index.segment(), index.epoch(), index.last_lsn()))
      without |= replica_bit(i);
  }
  return without;
}

class TailWalk {
 public:
  TailWalk(const Chain& chain, const LogKey& key, SegmentNumber start) : chain_(chain), key_(key) {
    tail_.start = {start, 0};
    tail_.missing_bytes.resize(chain.sources().size());
    tail_.first_missing.resize(chain.sources().size());
  }

  Result<void> run() {
    ChainWalk walk(chain_, tail_.start, ChainWalk::Look::kAll);
    while (true) {
      const auto step = walk.next();
      if (!step) return std::unexpected(step.error());
      if (!*step) break;
      take(**step);
    }
    if (!tail_.empty) finish(std::move(index_));
    return {};
  }

  // The walk's first batch follows on something that is known to be durable, so it cannot be behind a hole.
  bool linked() const {
    return tail_.start.segment == chain_.run_of(tail_.start.segment)->first_segment ||
           tail_.first_lsn.value <= durable_.value + 1;
  }
  Tail& tail() { return tail_; }

 private:
  void take(const ChainWalk::Step& step) {
    const BatchHeader& header = step.header;
    if (tail_.empty) tail_.first_lsn = header.lsn;
    std::optional<SegmentIndex> finished;
    if (tail_.empty || header.at.segment != index_.segment()) {
      if (!tail_.empty) finished = std::move(index_);
      index_ = SegmentIndex();
      index_.reset(header.at.segment, header.epoch);
    }
    tail_.empty = false;
    tail_.last = header;
    durable_ = std::max(durable_, header.durable);
    tail_.clock_ceiling = std::max(tail_.clock_ceiling, header.clock_ceiling);
    tail_.next_stream = std::max(tail_.next_stream, header.next_stream);
    index_.add_stored_batch(header, step.bytes);
    note_missing(tail_, step, all_of(chain_) & ~step.present);
    if (finished) finish(std::move(*finished));
  }
  // Reads at the locations: what a step gave is not valid any more.
  void finish(SegmentIndex index) {
    const ReplicaSet without = without_footer(chain_, key_, index);
    if (without != 0) tail_.segments.push_back({std::move(index), without});
  }

  const Chain& chain_;
  const LogKey& key_;
  Tail tail_;
  SegmentIndex index_;
  Lsn durable_;
};

// The first segment from which recovery must read, as far as this header knows.
Result<SegmentNumber> first_needed(Chain& chain, const BatchHeader& header) {
  if (header.checkpoint) {
    if (auto done = chain.extend_to(header.checkpoint->segment); !done) return std::unexpected(done.error());
    return std::min(header.at.segment, header.checkpoint->segment);
  }
  if (auto done = chain.extend_to(SegmentNumber{0}); !done) return std::unexpected(done.error());
  return chain.runs().front().first_segment;
}

}  // namespace

void note_missing(Tail& tail, const ChainWalk::Step& step, ReplicaSet lacking) {
  if (lacking != 0) note_missing(tail, {step.header.at, step.header.end(), step.present, lacking}, step.header.lsn);
}

void note_missing(Tail& tail, const MissingRange& range, Lsn first) {
  for (std::size_t i = 0; i < tail.missing_bytes.size(); ++i) {
    if ((range.lacking >> i & 1U) == 0) continue;
    tail.missing_bytes[i] += range.end - range.begin.offset;
    if (!tail.first_missing[i] || first < *tail.first_missing[i]) tail.first_missing[i] = first;
  }
  if (!tail.missing.empty()) {
    MissingRange& last = tail.missing.back();
    if (last.begin.segment == range.begin.segment && last.end == range.begin.offset && last.present == range.present &&
        last.lacking == range.lacking) {
      last.end = range.end;
      return;
    }
  }
  tail.missing.push_back(range);
}

Result<Tail> scan_tail(Chain& chain, const LogKey& key, std::uint64_t reach) {
  if (chain.empty()) {
    auto sound = check_for_rot(chain.sources(), key, {}, Lsn{1}, reach);
    if (!sound) return std::unexpected(sound.error());
    return Tail{};
  }
  auto start = first_needed(chain, chain.top());
  while (true) {
    if (!start) return std::unexpected(start.error());
    TailWalk walk(chain, key, *start);
    if (auto done = walk.run(); !done) return std::unexpected(done.error());
    Tail& tail = walk.tail();
    // What led here may itself lie behind a hole: then the real end is earlier, and so may be what it needs.
    if (tail.empty || !walk.linked()) {
      const auto before = chain.before(*start);
      if (!before) return std::unexpected(before.error());
      if (!*before) {
        return fail(Error::Kind::kCorrupt,
                    fmt::format("segment {}: the first batch of the log cannot be read any more", start->value));
      }
      start = **before;
      continue;
    }
    const auto needed = first_needed(chain, tail.last);
    if (!needed) return std::unexpected(needed.error());
    if (*needed < *start) {
      start = *needed;
      continue;
    }
    const BatchPosition end = {tail.last.at.segment, tail.last.end()};
    if (auto sound = check_for_rot(chain.sources(), key, end, tail.last.lsn + 1, reach); !sound) {
      return std::unexpected(sound.error());
    }
    return std::move(tail);
  }
}

}  // namespace holdfast::log
