// Copies of frames that wait for something, in a fixed number of blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/units.h"
#include "wire/frame.h"

namespace holdfast::ip {

// A chain of stored frames, first in first out. Belongs to the pool that it is used with.
struct FrameQueue {
  static constexpr std::uint16_t kNone = 0xffff;
  std::uint16_t first = kNone, last = kNone;
  std::uint16_t count = 0;
  bool empty() const { return count == 0; }
};

class FramePool {
 public:
  static constexpr std::size_t kBlock = 2048;  // bytes
  // Largest frame: Ethernet header and the largest IPv4 datagram.
  static constexpr std::size_t kMaxFrame = 14 + 65535;

  // Room for `blocks` blocks, and as many frames; fewer than 65,535.
  explicit FramePool(std::uint16_t blocks);

  // Copies the frame to the end of the queue; false when there is no room.
  bool push(FrameQueue& queue, const wire::TxFrame& frame);
  // Takes the first frame out of a queue that is not empty. Its bytes are copied to the start of `into` (kMaxFrame
  // bytes), where the result's pieces lie.
  wire::TxFrame pop(FrameQueue& queue, MutableBytes into);
  // Drops the first frame of a queue that is not empty.
  void drop(FrameQueue& queue);

  std::size_t free_blocks() const { return free_blocks_; }

 private:
  static constexpr std::uint16_t kNone = FrameQueue::kNone;

  struct Stored {
    std::uint16_t first_block = kNone;
    std::uint16_t next = kNone;  // in its queue, or in the free list
    std::uint32_t size = 0;
    std::uint16_t head_size = 0;
    std::uint16_t checksum_start = 0, checksum_offset = 0, gso_size = 0;
    bool needs_checksum = false;
  };

  MutableBytes block(std::uint16_t index) { return {memory_.get() + index * kBlock, kBlock}; }
  std::uint16_t take_block();

  std::unique_ptr<std::byte[]> memory_;
  std::vector<std::uint16_t> next_block_;  // in its frame, or in the free list
  std::vector<Stored> frames_;
  std::uint16_t free_block_ = 0, free_frame_ = 0;
  std::size_t free_blocks_;
};

}  // namespace holdfast::ip
