#include "log/kept_segments.h"

#include <algorithm>

namespace holdfast::log {

KeptSegments::KeptSegments(const std::vector<SegmentNumber>& there, std::uint64_t wall_clock) {
  for (const SegmentNumber number : there) segments_.push_back({number, Lsn{}, wall_clock, false});
}

void KeptSegments::seal(SegmentNumber segment, Lsn last, std::uint64_t wall_clock) {
  segments_.push_back({segment, last, wall_clock, true});
}

void KeptSegments::drop_before(SegmentNumber first) {
  while (!segments_.empty() && segments_.front().number < first) segments_.pop_front();
}

bool KeptSegments::is_old(Segment& segment, const Retention& retention, std::uint64_t wall_clock,
                          const AskSegment& ask) {
  if (retention.age <= Duration::zero() || wall_clock == 0) return false;
  if (!segment.asked) {
    segment.asked = true;
    if (const auto said = ask(segment.number)) segment.sealed_at = std::min(segment.sealed_at, *said);
  }
  const std::uint64_t sealed_at = segment.sealed_at;
  return sealed_at != 0 && wall_clock > sealed_at &&
         wall_clock - sealed_at > static_cast<std::uint64_t>(retention.age.count());
}

SegmentNumber KeptSegments::first_kept(const Retention& retention, SegmentNumber asked, SegmentNumber current,
                                       Lsn durable, std::uint64_t segment_size, std::uint64_t wall_clock,
                                       const AskSegment& ask) {
  std::uint64_t bytes = (segments_.size() + 1) * segment_size;
  for (Segment& segment : segments_) {
    const bool goes = segment.number < asked || (retention.bytes != 0 && bytes > retention.bytes) ||
                      is_old(segment, retention, wall_clock, ask);
    if (!goes || segment.last > durable) return segment.number;
    bytes -= segment_size;
  }
  return current;
}

}  // namespace holdfast::log
