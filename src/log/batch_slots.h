// The batches in memory, from open to durable everywhere, and their buffers: a fixed number, allocated once.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "log/aligned_buffer.h"
#include "log/batch_codec.h"
#include "log/replica_set.h"

namespace holdfast::log {

struct BatchSlot {
  enum class State : std::uint8_t { kFree, kOpen, kSealed, kIssued };
  State state = State::kFree;
  MutableBytes buffer;
  BatchHeader header;
  // Bit i: location i is writing it / will, once its segment is ready there.
  ReplicaSet writing = 0;
  ReplicaSet queued = 0;

  Bytes bytes() const { return buffer.first(header.size()); }
};

class BatchSlots {
 public:
  BatchSlots(std::size_t count, std::size_t buffer_size);

  std::size_t size() const { return slots_.size(); }
  // All buffers are parts of this.
  MutableBytes memory() const { return memory_.bytes(); }
  BatchSlot& operator[](std::size_t i) { return slots_[i]; }
  const BatchSlot& operator[](std::size_t i) const { return slots_[i]; }

  // A free slot, now open; nullopt where all are in use.
  std::optional<std::uint8_t> acquire();
  // Issued, durable and written wherever it goes: free again.
  void release_up_to(Lsn durable);
  // The issued or sealed batch that holds this byte of a segment.
  const BatchSlot* holding(SegmentNumber segment, std::uint32_t position) const;
  // Clock ceiling of the newest batch at or below `lsn` that is still here.
  std::optional<std::uint64_t> clock_ceiling_at(Lsn lsn) const;

 private:
  AlignedBuffer memory_;
  std::vector<BatchSlot> slots_;
};

}  // namespace holdfast::log
