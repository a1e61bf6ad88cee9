#include "tcp/send_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace holdfast::tcp {

void SendBuffer::append(Bytes bytes) {
  if (bytes.empty()) return;
  if (size() + bytes.size() > ring_.size()) grow(size() + bytes.size());
  const std::size_t at = end_.value & (ring_.size() - 1);
  const std::size_t first = std::min(bytes.size(), ring_.size() - at);
  std::memcpy(ring_.data() + at, bytes.data(), first);
  std::memcpy(ring_.data(), bytes.data() + first, bytes.size() - first);
  end_ = end_ + bytes.size();
}

void SendBuffer::drop_below(StreamOffset begin) {
  HF_ASSERT(begin <= end_);
  begin_ = std::max(begin_, begin);
  if (begin_ == end_) ring_ = Block();
}

std::array<Bytes, 2> SendBuffer::view(StreamOffset at, std::size_t length) const {
  if (length == 0) return {};
  HF_ASSERT(at >= begin_ && at + length <= end_);
  const std::size_t from = at.value & (ring_.size() - 1);
  const std::size_t first = std::min(length, ring_.size() - from);
  return {Bytes(ring_.data() + from, first), Bytes(ring_.data(), length - first)};
}

void SendBuffer::grow(std::size_t needed) {
  Block larger(needed);
  const std::size_t mask = larger.size() - 1;
  StreamOffset at = begin_;
  for (const Bytes piece : view(begin_, size())) {
    if (piece.empty()) continue;
    const std::size_t to = at.value & mask;
    const std::size_t first = std::min(piece.size(), larger.size() - to);
    std::memcpy(larger.data() + to, piece.data(), first);
    std::memcpy(larger.data(), piece.data() + first, piece.size() - first);
    at = at + piece.size();
  }
  ring_ = std::move(larger);
}

}  // namespace holdfast::tcp
