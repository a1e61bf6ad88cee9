#include "log/stream_table.h"

#include <algorithm>
#include <iterator>

namespace holdfast::log {
namespace {

void extend(bool known, std::uint64_t& begin, std::uint64_t& end, std::uint64_t from, std::uint64_t to) {
  begin = known ? std::min(begin, from) : from;
  end = known ? std::max(end, to) : to;
}

void add_to(StreamSummary& total, const StreamSummary& part) {
  using S = StreamSummary;
  if (part.has(S::kHasIn)) extend(total.has(S::kHasIn), total.in_begin, total.in_end, part.in_begin, part.in_end);
  if (part.has(S::kHasOut)) extend(total.has(S::kHasOut), total.out_begin, total.out_end, part.out_begin, part.out_end);
  if (part.has(S::kHasCommit)) total.consumed = std::max(total.consumed, part.consumed);
  if (part.has(S::kClosed)) total.close_reason = part.close_reason;
  total.flags |= part.flags;
}

}  // namespace

void StreamTable::add(const SegmentIndex& index) {
  for (const StreamSummary& part : index.streams()) {
    Entry& entry = streams_[part.stream];
    entry.total.stream = part.stream;
    add_to(entry.total, part);
    if (part.connection_position != 0 && index.segment() >= entry.connection_segment) {
      entry.connection_segment = index.segment();
      entry.connection_position = part.connection_position;
    }
    const auto at = std::ranges::lower_bound(entry.segments, index.segment());
    const auto place = entry.parts.begin() + (at - entry.segments.begin());
    if (at == entry.segments.end() || *at != index.segment()) {
      entry.segments.insert(at, index.segment());
      entry.parts.insert(place, part);
    } else {
      *place = part;
    }
  }
}

void StreamTable::drop_before(SegmentNumber first) {
  for (auto at = streams_.begin(); at != streams_.end();) {
    Entry& entry = at->second;
    const auto kept = std::ranges::lower_bound(entry.segments, first) - entry.segments.begin();
    entry.segments.erase(entry.segments.begin(), entry.segments.begin() + kept);
    entry.parts.erase(entry.parts.begin(), entry.parts.begin() + kept);
    if (kept > 0) entry.total = {.stream = at->first};
    for (const StreamSummary& part : entry.parts) add_to(entry.total, part);
    if (entry.connection_segment < first) entry.connection_position = 0;
    at = entry.segments.empty() ? streams_.erase(at) : std::next(at);
  }
}

const StreamTable::Entry* StreamTable::find(StreamId stream) const {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? nullptr : &found->second;
}

StreamInfo to_info(const StreamSummary& total) {
  using S = StreamSummary;
  StreamInfo info;
  info.id = total.stream;
  info.closed = total.has(S::kClosed);
  info.close_reason = total.close_reason;
  info.in = {StreamOffset{total.in_begin}, StreamOffset{total.in_end}, total.has(S::kInFin)};
  info.out = {StreamOffset{total.out_begin}, StreamOffset{total.out_end}, total.has(S::kOutFin)};
  info.consumed = total.consumed;
  return info;
}

}  // namespace holdfast::log
