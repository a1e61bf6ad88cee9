#include "log/repair.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>

#include "log/aligned_buffer.h"
#include "log/blocking.h"
#include "log/footer_reader.h"

namespace holdfast::log {
namespace {

constexpr std::size_t kCopyPiece = 1U << 20;  // bytes a write, but for one larger batch

}  // namespace

Result<unsigned> Repair::clear_behind_end(std::size_t index, SegmentNumber first, unsigned keep) {
  Source& source = *chain_.sources()[index];
  const SegmentNumber end = tail_.empty ? SegmentNumber{0} : tail_.last.at.segment;
  std::vector<SegmentNumber> behind;
  for (const std::uint64_t number : source.segments() | std::views::keys) {
    if (number > end.value) behind.push_back(SegmentNumber{number});
  }
  unsigned ready = 0;
  for (const SegmentNumber segment : behind) {
    const bool usable = source.has(segment) && ready < keep;
    const auto done =
        usable ? recycle_now(source.location(), segment, first + ready) : remove_now(source.location(), segment);
    if (!done) return std::unexpected(done.error());
    ready += usable ? 1 : 0;
    source.forget_segment(segment);
  }
  return ready;
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

std::optional<Source::Batch> Repair::good_copy(BatchPosition at, std::uint32_t present) {
  for (std::size_t i = 0; i < chain_.sources().size(); ++i) {
    if ((present >> i & 1U) == 0) continue;
    if (auto batch = chain_.sources()[i]->batch_at(at)) return batch;
  }
  return std::nullopt;
}

Result<void> Repair::copy_range(Source& target, const MissingRange& range, SegmentNumber into) {
  const SegmentNumber segment = range.begin.segment;
  AlignedBuffer buffer(std::max<std::size_t>(kCopyPiece, kMaxBatch));
  std::uint32_t from = range.begin.offset;  // of what is in the buffer
  std::uint32_t at = from;
  const auto flush = [&]() -> Result<void> {
    if (at == from) return {};
    auto done = write_now(target.location(), into, from, Bytes(buffer.data(), at - from));
    from = at;
    return done;
  };
  while (at < range.end) {
    const auto batch = good_copy({segment, at}, range.present);
    if (!batch) {
      return fail(Error::Kind::kCorrupt,
                  fmt::format("segment {} offset {}: the good copy cannot be read again", segment.value, at));
    }
    if (at - from + batch->bytes.size() > buffer.size()) {
      if (auto done = flush(); !done) return done;
    }
    std::ranges::copy(batch->bytes, buffer.data() + (at - from));
    at += batch->header.size();
    if (at - from < kCopyPiece) continue;
    if (auto done = flush(); !done) return done;
  }
  return flush();
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
    if (auto done = copy_range(target, range, range.begin.segment); !done) return done;
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

// A good footer of a segment in front of the tail, as some location has it; empty where none has.
std::vector<std::byte> Repair::footer_of(SegmentNumber segment, Lsn last, std::uint32_t& data_end) const {
  for (Source* source : chain_.sources()) {
    const auto trailer = find_trailer(*source, key_, segment, chain_.run_of(segment)->epoch, last);
    if (!trailer) continue;
    const auto bytes = source->view(segment, key_.segment_size - trailer->size(), trailer->size(), false);
    if (!bytes || !SegmentIndex::decode(*bytes, *trailer)) continue;
    data_end = trailer->data_end;
    return {bytes->begin(), bytes->end()};
  }
  return {};
}

Result<void> Repair::write_footer(Source& target, SegmentNumber segment, Bytes content) {
  AlignedBuffer footer(content.size());
  std::ranges::copy(content, footer.data());
  target.drop_window();
  return write_now(target.location(), segment, key_.segment_size - content.size(), footer.bytes());
}

// Of a segment in front of the tail: as another location has it. Where none has, readers scan.
Result<void> Repair::copy_footer(std::size_t index, SegmentNumber segment) {
  Source& target = *chain_.sources()[index];
  const auto last = end_of(segment);
  if (!last || find_trailer(target, key_, segment, chain_.run_of(segment)->epoch, *last)) return {};
  std::uint32_t data_end = 0;
  const auto footer = footer_of(segment, *last, data_end);
  return footer.empty() ? Result<void>() : write_footer(target, segment, footer);
}

// Written under a number behind the end, where an interrupted start's leavings are cleared away, and then renamed: a
// file under its own number is whole.
Result<void> Repair::restore(std::size_t index, SegmentNumber segment, SegmentNumber spare) {
  Source& target = *chain_.sources()[index];
  const auto last = end_of(segment);
  std::uint32_t data_end = 0;
  const auto footer = last ? footer_of(segment, *last, data_end) : std::vector<std::byte>();
  if (footer.empty()) {
    return fail(Error::Kind::kCorrupt,
                fmt::format("segment {}: no location says that it has all of it", segment.value));
  }
  if (auto room = make_room(target, spare); !room) return room;
  const std::uint32_t others = ~(std::uint32_t{1} << index);
  auto done = copy_range(target, {{segment, 0}, data_end, others, ~others}, spare);
  if (done) done = write_footer(target, spare, footer);
  if (done && target.segments().contains(segment.value)) done = remove_now(target.location(), segment);
  if (done) done = recycle_now(target.location(), spare, segment);
  if (!done) (void)remove_now(target.location(), spare);  // else the next start clears it away
  target.forget_segment(spare);
  target.drop_window();
  if (!done) return done;
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
    AlignedBuffer footer(scanned.index.footer_size());
    if (scanned.index.data_end() + footer.size() > key_.segment_size) continue;  // another program's idea of room
    scanned.index.encode(key_, footer.bytes());
    const SegmentNumber segment = scanned.index.segment();
    if (auto done = write_now(target.location(), segment, key_.segment_size - footer.size(), footer.bytes()); !done) {
      return done;
    }
  }
  return {};
}

}  // namespace holdfast::log
