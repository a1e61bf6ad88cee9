#include "log/segment_cursor.h"

#include "base/assert.h"

namespace holdfast::log {

SegmentCursor::SegmentCursor(const LogKey& key, SegmentNumber first, std::uint32_t offset, Epoch epoch)
    : segment_size_(key.segment_size), segment_(first), offset_(offset), epoch_(epoch) {
  index_.reset(segment_, epoch_);
}

std::uint32_t SegmentCursor::room() const {
  const std::uint64_t taken = offset_ + index_.footer_size(1, 1);
  return taken >= segment_size_ ? 0 : static_cast<std::uint32_t>(segment_size_ - taken);
}

std::uint32_t SegmentCursor::open_room() const {
  const std::uint64_t taken = offset_ + index_.footer_size(1, 0);
  return taken >= segment_size_ ? 0 : static_cast<std::uint32_t>(segment_size_ - taken);
}

void SegmentCursor::advance(Lsn lsn, std::uint32_t size) {
  offset_ += size;
  HF_ASSERT(offset_ + index_.footer_size() <= segment_size_);
  index_.finish_batch(lsn, offset_);
}

void SegmentCursor::next_segment() {
  segment_ = SegmentNumber{segment_.value + 1};
  offset_ = 0;
  index_.reset(segment_, epoch_);
}

std::uint64_t SegmentCursor::payload_per_segment(std::uint64_t segment_size) {
  return segment_size - segment_size / 32 - kMinBatchRoom;
}

}  // namespace holdfast::log
