// Outbound bytes from the first unacknowledged one on: a ring that grows by doubling up to its limit and holds no
// memory while empty. A byte's place in the ring is its stream offset modulo the size, so any range is at most two
// spans.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/units.h"
#include "tcp/block_pool.h"

namespace holdfast::tcp {

class SendBuffer {
 public:
  // `first`: stream offset of the first byte that append() will add.
  SendBuffer(std::uint32_t limit, StreamOffset first) : begin_(first), end_(first), limit_(limit) {}

  StreamOffset begin() const { return begin_; }
  StreamOffset end() const { return end_; }
  std::size_t size() const { return end_ - begin_; }
  std::size_t room() const { return size() < limit_ ? limit_ - size() : 0; }

  void append(Bytes bytes);             // copies
  void drop_below(StreamOffset begin);  // acknowledged
  // [at, at + length); valid until the next append() or drop_below().
  std::array<Bytes, 2> view(StreamOffset at, std::size_t length) const;

 private:
  void grow(std::size_t needed);
  Block ring_;
  StreamOffset begin_, end_;
  std::uint32_t limit_;
};

}  // namespace holdfast::tcp
