#include "ip/frame_pool.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace holdfast::ip {

FramePool::FramePool(std::uint16_t blocks)
    : memory_(std::make_unique_for_overwrite<std::byte[]>(blocks * kBlock)),
      next_block_(blocks),
      frames_(blocks),
      free_blocks_(blocks) {
  HF_ASSERT(blocks > 0 && blocks < kNone);
  for (std::uint16_t i = 0; i < blocks; ++i) {
    const auto next = static_cast<std::uint16_t>(i + 1 < blocks ? i + 1 : kNone);
    next_block_[i] = next;
    frames_[i].next = next;
  }
}

std::uint16_t FramePool::take_block() {
  const std::uint16_t taken = free_block_;
  free_block_ = next_block_[taken];
  next_block_[taken] = kNone;
  --free_blocks_;
  return taken;
}

bool FramePool::push(FrameQueue& queue, const wire::TxFrame& frame) {
  const std::size_t size = frame.size();
  const std::size_t blocks = (size + kBlock - 1) / kBlock;
  if (size == 0 || size > kMaxFrame || blocks > free_blocks_) return false;

  // There is a free frame wherever there is a free block: each frame has one block at least.
  const std::uint16_t index = free_frame_;
  Stored& stored = frames_[index];
  free_frame_ = stored.next;
  stored = {.first_block = take_block(),
            .next = kNone,
            .size = static_cast<std::uint32_t>(size),
            .head_size = static_cast<std::uint16_t>(frame.head.size()),
            .checksum_start = frame.checksum_start,
            .checksum_offset = frame.checksum_offset,
            .gso_size = frame.gso_size,
            .needs_checksum = frame.needs_checksum};

  std::uint16_t current = stored.first_block;
  MutableBytes room = block(current);
  for (Bytes piece : {frame.head, frame.payload[0], frame.payload[1]}) {
    while (!piece.empty()) {
      if (room.empty()) {
        const std::uint16_t next = take_block();
        next_block_[current] = next;
        current = next;
        room = block(current);
      }
      const std::size_t part = std::min(piece.size(), room.size());
      std::memcpy(room.data(), piece.data(), part);
      piece = piece.subspan(part);
      room = room.subspan(part);
    }
  }

  (queue.empty() ? queue.first : frames_[queue.last].next) = index;
  queue.last = index;
  ++queue.count;
  return true;
}

wire::TxFrame FramePool::pop(FrameQueue& queue, MutableBytes into) {
  HF_ASSERT(!queue.empty() && into.size() >= kMaxFrame);
  const Stored stored = frames_[queue.first];
  std::size_t copied = 0;
  for (std::uint16_t at = stored.first_block; at != kNone; at = next_block_[at]) {
    const std::size_t part = std::min<std::size_t>(kBlock, stored.size - copied);
    std::memcpy(into.data() + copied, block(at).data(), part);
    copied += part;
  }
  drop(queue);
  wire::TxFrame frame;
  frame.head = into.first(stored.head_size);
  frame.payload[0] = into.subspan(stored.head_size, stored.size - stored.head_size);
  frame.needs_checksum = stored.needs_checksum;
  frame.checksum_start = stored.checksum_start;
  frame.checksum_offset = stored.checksum_offset;
  frame.gso_size = stored.gso_size;
  return frame;
}

void FramePool::drop(FrameQueue& queue) {
  HF_ASSERT(!queue.empty());
  const std::uint16_t index = queue.first;
  Stored& stored = frames_[index];
  queue.first = stored.next;
  if (--queue.count == 0) queue = {};
  for (std::uint16_t at = stored.first_block; at != kNone;) {
    const std::uint16_t next = next_block_[at];
    next_block_[at] = free_block_;
    free_block_ = at;
    ++free_blocks_;
    at = next;
  }
  stored.next = free_frame_;
  free_frame_ = index;
}

}  // namespace holdfast::ip
