// Segments that the log gives up: what live connections need of them is appended anew, or keeps them.
#include <algorithm>

#include "gate/gate.h"

namespace holdfast::gate {
namespace {

bool lies_before(const log::Extent& extent, SegmentNumber before) { return extent.segment < before; }

}  // namespace

// The same bytes at the same offsets, so that a recovery that sees both copies can take either. False: no room now.
bool Gate::append_anew(StreamId id, log::Extent& extent) {
  kept_.resize(extent.length);
  // Unreadable: then the segment stays (first_needed), as does the connection's only chance.
  if (!log_->read(extent, extent.offset, kept_)) return true;
  log::RecordHeader header;
  header.type = log::RecordType::kOut;
  header.flags = log::kAnew;
  header.stream = id;
  header.offset = extent.offset;
  if (log_->append(header, kept_, 0) == Lsn{0}) return false;
  log::Extent anew = log_->last_extent();
  anew.offset = extent.offset;
  anew.length = extent.length;
  extent = anew;
  return true;
}

// Outbound bytes that are not acknowledged. All else that a connection needs is in its record, which checkpoints write.
bool Gate::write_anew(SegmentNumber before, std::size_t budget) {
  if (silent_) return true;
  if (anew_before_ != before) anew_cursor_ = StreamId{0};
  anew_before_ = before;
  for (auto at = entries_.upper_bound(anew_cursor_); at != entries_.end(); ++at) {
    Entry& entry = *at->second;
    const bool needed = !entry.finished && !entry.close_recorded && entry.service != ServiceKind::kClient;
    for (log::Extent& extent : entry.outbound) {
      if (!needed) break;
      if (!lies_before(extent, before)) continue;
      if (budget == 0 || !append_anew(entry.id, extent)) return true;
      budget -= std::min<std::size_t>(budget, extent.length);
    }
    anew_cursor_ = at->first;
  }
  anew_before_ = {};
  return false;
}

SegmentNumber Gate::first_needed(SegmentNumber before) {
  SegmentNumber first = before;
  const auto keep = [&first](const Extents& outbound) {
    for (const log::Extent& extent : outbound) first = std::min(first, extent.segment);
  };
  for (const auto& [id, connection] : aside_) keep(connection.outbound);
  for (const auto& [id, entry] : entries_) {
    if (entry->finished || entry->close_recorded) continue;
    // What the peer of a client connection sent is for its program, which may not have read it yet.
    if (entry->service == ServiceKind::kClient) return {};
    keep(entry->outbound);
  }
  return first;
}

}  // namespace holdfast::gate
