#include "log/repair.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>

#include "log/aligned_buffer.h"
#include "log/blocking.h"
#include "log/chain_walk.h"
#include "log/footer_reader.h"

namespace holdfast::log {
namespace {

constexpr std::size_t kCopyPiece = 1U << 20;  // bytes a write, but for one larger batch
constexpr location::Token kNotRenamed = ~location::Token{0};

// Batches that follow each other, written in pieces of a useful size.
class PieceWriter {
 public:
  PieceWriter(location::Location& location, SegmentNumber into, std::uint32_t offset)
      : location_(location), into_(into), offset_(offset), buffer_(std::max<std::size_t>(kCopyPiece, kMaxBatch)) {}

  Result<void> add(Bytes batch) {
    if (held_ + batch.size() > buffer_.size()) {
      if (auto done = flush(); !done) return done;
    }
    std::ranges::copy(batch, buffer_.data() + held_);
    held_ += batch.size();
    return held_ < kCopyPiece ? Result<void>() : flush();
  }
  Result<void> flush() {
    if (held_ == 0) return {};
    auto done = write_now(location_, into_, offset_, Bytes(buffer_.data(), held_));
    offset_ += held_;
    held_ = 0;
    return done;
  }

 private:
  location::Location& location_;
  const SegmentNumber into_;
  std::uint64_t offset_;
  AlignedBuffer buffer_;
  std::size_t held_ = 0;
};

}  // namespace

Result<unsigned> Repair::clear_behind_end(std::size_t index, SegmentNumber first, unsigned keep) {
  Source& source = *chain_.sources()[index];
  const SegmentNumber end = tail_.empty ? SegmentNumber{0} : tail_.last.at.segment;
  std::vector<SegmentNumber> behind;
  for (const std::uint64_t number : source.segments() | std::views::keys) {
    if (number > end.value) behind.push_back(SegmentNumber{number});
  }
  std::vector<SegmentNumber> renamed;
  for (const SegmentNumber segment : behind) {
    if (source.has(segment) && renamed.size() < keep) {
      source.location().recycle(renamed.size(), segment, first + renamed.size());
      renamed.push_back(segment);
    } else {
      source.location().remove(kNotRenamed, segment);
    }
    source.forget_segment(segment);
  }
  std::vector<std::size_t> without_room;
  std::optional<Error> error;
  const auto ended = await_each(source.location(), behind.size(), [&](location::Completion& done) {
    if (!done.error) return;
    if (done.error->kind == Error::Kind::kFull && done.token != kNotRenamed) {
      without_room.push_back(done.token);
    } else if (!error) {
      error = std::move(done.error);
    }
  });
  if (error) return std::unexpected(*std::move(error));
  if (!ended) return std::unexpected(ended.error());
  if (without_room.empty()) return static_cast<unsigned>(renamed.size());
  return give_up_renaming(source, renamed, first, without_room);
}

// A location where a new name is a new segment, and that is full: what stands in front of the first that could not be
// renamed is ready, the rest goes. A log without room waits for it; a location that failed would not come back.
Result<unsigned> Repair::give_up_renaming(Source& source, const std::vector<SegmentNumber>& renamed,
                                          SegmentNumber first, std::vector<std::size_t> without_room) {
  std::ranges::sort(without_room);
  const std::size_t ready = without_room.front();
  for (std::size_t i = ready; i < renamed.size(); ++i) {
    const bool stayed = std::ranges::binary_search(without_room, i);
    source.location().remove(kNotRenamed, stayed ? renamed[i] : first + i);
  }
  if (auto done = await_all(source.location(), renamed.size() - ready); !done) return std::unexpected(done.error());
  return static_cast<unsigned>(ready);
}

Result<void> Repair::make_room(Source& target, SegmentNumber segment) {
  if (target.has(segment)) return {};
  if (target.segments().contains(segment.value)) {  // of a wrong size
    if (auto removed = remove_now(target.location(), segment); !removed) return removed;
  }
  if (auto prepared = prepare_now(target.location(), segment, key_.segment_size); !prepared) return prepared;
  target.note_segment(segment);
  return {};
}

std::optional<Source::Batch> Repair::good_copy(BatchPosition at, ReplicaSet present) {
  for (std::size_t i = 0; i < chain_.sources().size(); ++i) {
    if ((present >> i & 1U) == 0) continue;
    if (auto batch = chain_.sources()[i]->batch_at(at)) return batch;
  }
  return std::nullopt;
}

Result<void> Repair::copy_range(Source& target, const MissingRange& range) {
  const SegmentNumber segment = range.begin.segment;
  PieceWriter writer(target.location(), segment, range.begin.offset);
  for (std::uint32_t at = range.begin.offset; at < range.end;) {
    const auto batch = good_copy({segment, at}, range.present);
    if (!batch) {
      return fail(Error::Kind::kCorrupt,
                  fmt::format("segment {} offset {}: the good copy cannot be read again", segment.value, at));
    }
    if (auto done = writer.add(batch->bytes); !done) return done;
    at += batch->header.size();
  }
  return writer.flush();
}

Result<void> Repair::copy(std::size_t index) {
  Source& target = *chain_.sources()[index];
  // Oldest first, so that the location's highest written segment stays its newest.
  std::vector<MissingRange> ranges;
  std::ranges::copy_if(tail_.missing, std::back_inserter(ranges),
                       [index](const MissingRange& r) { return (r.lacking >> index & 1U) != 0; });
  std::ranges::sort(ranges, {}, &MissingRange::begin);
  for (const MissingRange& range : ranges) {
    if (auto room = make_room(target, range.begin.segment); !room) return room;
    if (auto done = copy_range(target, range); !done) return done;
    target.drop_window();
    target.forget_first_header(range.begin.segment);
  }
  return {};
}

// Where a segment in front of the tail ends; nullopt where that cannot be told, or the segment is not of the chain.
std::optional<Lsn> Repair::end_of(SegmentNumber segment) const {
  const EpochRun* run = chain_.run_of(segment);
  if (run == nullptr) return std::nullopt;
  if (run->closed && segment == run->end_segment) return run->end_lsn;
  const auto next = chain_.first_header(segment + 1, run->epoch);
  return next ? std::optional(Lsn{next->lsn.value - 1}) : std::nullopt;
}

Result<void> Repair::write_footer(Source& target, const SegmentIndex& index, SegmentNumber into) {
  AlignedBuffer footer(index.footer_size());
  if (index.data_end() + footer.size() > key_.segment_size) return {};  // another program's idea of room
  index.encode(key_, footer.bytes());
  target.drop_window();
  return write_now(target.location(), into, key_.segment_size - footer.size(), footer.bytes());
}

// Of a segment in front of the tail: as another location has it. Where none has, readers scan.
Result<void> Repair::copy_footer(std::size_t index, SegmentNumber segment) {
  Source& target = *chain_.sources()[index];
  const auto last = end_of(segment);
  if (!last) return {};
  const Epoch epoch = chain_.run_of(segment)->epoch;
  if (find_trailer(target, key_, segment, epoch, last)) return {};
  for (Source* source : chain_.sources()) {
    if (const auto footer = read_footer(*source, key_, segment, epoch, *last)) {
      return write_footer(target, *footer, segment);
    }
  }
  return {};
}

// What the chain has of it, batch after batch: a location may also hold what an owner wrote there that lost.
Result<SegmentIndex> Repair::copy_chain(Source& target, SegmentNumber segment, Lsn last, SegmentNumber into) {
  SegmentIndex index;
  index.reset(segment, chain_.run_of(segment)->epoch);
  PieceWriter writer(target.location(), into, 0);
  ChainWalk walk(chain_, {segment, 0}, ChainWalk::Look::kAny);
  while (!walk.last() || walk.last()->lsn < last) {
    const auto step = walk.next();
    if (!step || !*step || (*step)->header.at.segment != segment) {
      return fail(Error::Kind::kCorrupt,
                  fmt::format("segment {} offset {}: a stored batch cannot be read at any location", segment.value,
                              walk.position().offset));
    }
    if (auto done = writer.add((*step)->bytes); !done) return std::unexpected(done.error());
    index.add_stored_batch((*step)->header, (*step)->bytes);
  }
  if (auto done = writer.flush(); !done) return std::unexpected(done.error());
  return index;
}

// Written under a number behind the end, where an interrupted start's leavings are cleared away, and then renamed: a
// file under its own number is whole.
Result<void> Repair::restore(std::size_t index, SegmentNumber segment, SegmentNumber spare) {
  Source& target = *chain_.sources()[index];
  const auto last = end_of(segment);
  if (!last) {
    return fail(Error::Kind::kCorrupt, fmt::format("segment {}: where it ends cannot be told", segment.value));
  }
  if (auto room = make_room(target, spare); !room) return room;
  const auto copied = copy_chain(target, segment, *last, spare);
  auto done = copied ? write_footer(target, *copied, spare) : std::unexpected(copied.error());
  if (done && target.segments().contains(segment.value)) done = remove_now(target.location(), segment);
  if (done) done = recycle_now(target.location(), spare, segment);
  target.forget_segment(spare);
  target.drop_window();
  if (!done) {
    (void)remove_now(target.location(), spare);  // else the next start clears it away
    return done;
  }
  target.note_segment(segment);
  target.forget_first_header(segment);
  return {};
}

Result<void> Repair::write_footers(std::size_t index) {
  Source& target = *chain_.sources()[index];
  std::optional<SegmentNumber> done_for;
  for (const MissingRange& range : tail_.missing) {
    const SegmentNumber segment = range.begin.segment;
    if ((range.lacking >> index & 1U) == 0 || segment >= tail_.start.segment || segment == done_for) continue;
    if (auto done = copy_footer(index, segment); !done) return done;
    done_for = segment;
  }
  for (const ScannedSegment& scanned : tail_.segments) {
    if ((scanned.without_footer >> index & 1U) == 0) continue;
    if (auto done = write_footer(target, scanned.index, scanned.index.segment()); !done) return done;
  }
  return {};
}

}  // namespace holdfast::log
