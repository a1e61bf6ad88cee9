// The segments that a log keeps, oldest first, and how many of them its retention gives up.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "log/format.h"
#include "log/log.h"

namespace holdfast::log {

class KeptSegments {
 public:
  // Those that there are when the log begins, ascending: nothing in them is newer than `wall_clock`.
  KeptSegments(const std::vector<SegmentNumber>& there, std::uint64_t wall_clock);

  // Nothing more is added to this one, the newest.
  void seal(SegmentNumber segment, Lsn last, std::uint64_t wall_clock);
  void drop_before(SegmentNumber first);

  // When a segment was sealed, as it says itself; nullopt where it does not.
  using AskSegment = std::function<std::optional<std::uint64_t>(SegmentNumber)>;
  // The first that is kept, where `current` is being written: not beyond `durable`, and not before what `asked` says.
  SegmentNumber first_kept(const Retention& retention, SegmentNumber asked, SegmentNumber current, Lsn durable,
                           std::uint64_t segment_size, std::uint64_t wall_clock, const AskSegment& ask);

 private:
  struct Segment {
    SegmentNumber number;
    Lsn last;                 // 0: of an older epoch
    std::uint64_t sealed_at;  // nothing in it is newer
    bool asked;               // it was asked itself, or need not be
  };
  bool is_old(Segment& segment, const Retention& retention, std::uint64_t wall_clock, const AskSegment& ask);

  std::deque<Segment> segments_;
};

}  // namespace holdfast::log
