// All streams of a log, put together from what each segment holds of them.
#pragma once

#include <map>
#include <vector>

#include "log/reader.h"
#include "log/segment_index.h"

namespace holdfast::log {

class StreamTable {
 public:
  struct Entry {
    StreamSummary total;               // ranges over all segments; positions mean nothing
    SegmentNumber connection_segment;  // of the latest connection record; 0: none
    std::uint32_t connection_position = 0;
    std::vector<SegmentNumber> segments;  // ascending: all that hold anything of it
    std::vector<StreamSummary> parts;     // what each of them holds
  };

  // In any order; the same segment again, with more in it, is fine.
  void add(const SegmentIndex& index);
  // What lies in front of this segment was released.
  void drop_before(SegmentNumber first);
  void clear() { streams_.clear(); }
  const std::map<StreamId, Entry>& streams() const { return streams_; }
  const Entry* find(StreamId stream) const;

 private:
  std::map<StreamId, Entry> streams_;
};

// Without the connection record.
StreamInfo to_info(const StreamSummary& total);

}  // namespace holdfast::log
