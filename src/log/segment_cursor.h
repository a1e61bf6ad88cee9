// Where the next batch goes: the current segment, what is left of it, and its index.
#pragma once

#include <optional>

#include "log/format.h"
#include "log/segment_index.h"

namespace holdfast::log {

// A segment is left once less than this remains for batches: enough for the largest record.
inline constexpr std::uint32_t kMinBatchRoom = static_cast<std::uint32_t>(
    round_up(kBatchHeaderSize + kRecordHeaderSize + kMaxRecordPayload + kRecordAlignment, kBlock));

class SegmentCursor {
 public:
  SegmentCursor(const LogKey& key, SegmentNumber first, std::uint32_t offset, Epoch epoch);

  SegmentNumber segment() const { return segment_; }
  BatchPosition position() const { return {segment_, offset_}; }
  SegmentIndex& index() { return index_; }
  const SegmentIndex& index() const { return index_; }

  // Bytes that a batch at position() may take; the footer's room is kept.
  std::uint32_t room() const;
  // Of an open batch at position(): what it may take while one more stream enters the index.
  std::uint32_t open_room() const;
  // It holds a batch.
  bool begun() const { return offset_ > 0; }
  bool exhausted() const { return room() < kMinBatchRoom; }

  // A batch of `size` bytes is at position() now.
  void advance(Lsn lsn, std::uint32_t size);
  // On to the next segment.
  void next_segment();

  // Payload that a whole segment surely takes.
  static std::uint64_t payload_per_segment(std::uint64_t segment_size);

 private:
  std::uint64_t segment_size_;
  SegmentNumber segment_;
  std::uint32_t offset_;
  Epoch epoch_;
  SegmentIndex index_;
};

}  // namespace holdfast::log
