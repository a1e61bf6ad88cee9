// Footers of sealed segments on their way to the locations. A footer is a cache (its absence costs a scan), so it never
// holds up anything: where too many are outstanding, the oldest idle one is dropped.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "log/aligned_buffer.h"
#include "log/replica_set.h"
#include "log/segment_index.h"

namespace holdfast::log {

class FooterWriter {
 public:
  static constexpr std::size_t kMaxOutstanding = 4;

  explicit FooterWriter(const LogKey& key) : key_(key) {}

  // The index of a segment to which no batch will be added. `wanted`: bit i for location i.
  void add(const SegmentIndex& index, ReplicaSet wanted);

  struct Write {
    SegmentNumber segment;
    std::uint64_t offset = 0;
    Bytes bytes;  // stays until written() or abandon()
  };
  // The next footer that location `replica` should write, once it holds everything up to `prefix`.
  std::optional<Write> next(unsigned replica, Lsn prefix);
  void written(unsigned replica, SegmentNumber segment);
  // Segments in front of this one are released: no footer of theirs is wanted any more there. True where one is on its
  // way.
  bool give_up(unsigned replica, SegmentNumber before);
  // The location is out: nothing more is wanted there. Writes that it has begun are still awaited.
  void abandon(unsigned replica);

 private:
  struct Footer {
    SegmentNumber segment;
    Lsn last_lsn;
    AlignedBuffer buffer;
    ReplicaSet wanted = 0, writing = 0;
  };
  void drop_finished();

  LogKey key_;
  std::vector<Footer> footers_;  // oldest first
};

}  // namespace holdfast::log
