#include "log/trim_plan.h"

#include <algorithm>

namespace holdfast::log {
namespace {

bool all_closed(const LogView& view, const SegmentIndex& index) {
  return std::ranges::all_of(index.streams(), [&view](const StreamSummary& part) {
    const auto* entry = view.streams().find(part.stream);
    return entry != nullptr && entry->total.has(StreamSummary::kClosed);
  });
}

// What of a direction lies in front of `first`: up to where the rest begins.
StreamRange lost(const StreamTable::Entry& entry, SegmentNumber first, Direction direction) {
  StreamRange gone;
  bool any = false, rest = false;
  for (std::size_t i = 0; i < entry.parts.size() && !rest; ++i) {
    const StreamSummary& part = entry.parts[i];
    const bool in = direction == Direction::kIn;
    if (!part.has(in ? StreamSummary::kHasIn : StreamSummary::kHasOut)) continue;
    const StreamOffset begin{in ? part.in_begin : part.out_begin}, end{in ? part.in_end : part.out_end};
    rest = entry.segments[i] >= first;
    if (rest) break;
    if (!any) gone.begin = begin;
    gone.end = std::max(gone.end, end);
    any = true;
  }
  return gone;
}

}  // namespace

Result<TrimPlan> plan_trim(LogView& view, const TrimWish& wish) {
  TrimPlan plan;
  const auto& segments = view.segments();
  std::uint64_t left = segments.size() * view.key().segment_size;
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
    const ChainSegment& segment = segments[i];
    if (segment.last == Lsn{} || segment.last > view.durable_end()) break;
    bool goes = wish.keep_bytes != 0 && left > wish.keep_bytes;
    if (!goes && (wish.sealed_before != 0 || wish.closed)) {
      const auto index = view.index_of(segment.number);
      if (!index) return std::unexpected(index.error());
      goes = index->sealed_at() != 0 && index->sealed_at() < wish.sealed_before;
      goes = goes || (wish.closed && all_closed(view, *index));
    }
    if (!goes) break;
    left -= view.key().segment_size;
    ++plan.segments;
    plan.bytes += view.key().segment_size;
    plan.first_kept = segments[i + 1].number;
  }
  if (plan.segments == 0) return plan;
  for (const auto& [id, entry] : view.streams().streams()) {
    const TrimPlan::Loss loss{id, lost(entry, plan.first_kept, Direction::kIn),
                              lost(entry, plan.first_kept, Direction::kOut)};
    if (loss.in.size() > 0 || loss.out.size() > 0) plan.losses.push_back(loss);
  }
  return plan;
}

}  // namespace holdfast::log
