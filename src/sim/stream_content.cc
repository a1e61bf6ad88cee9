#include "sim/stream_content.h"

#include "sim/prng.h"

namespace holdfast::sim {

namespace {

std::uint64_t word_at(std::uint64_t key, std::uint64_t index) { return mixed(key ^ (index * 0xd1342543de82ef95ULL)); }

std::byte byte_of(std::uint64_t word, std::uint64_t offset) {
  return static_cast<std::byte>(word >> (8 * (offset & 7U)));
}

}  // namespace

std::byte StreamContent::at(std::uint64_t offset) const { return byte_of(word_at(key, offset >> 3), offset); }

void StreamContent::fill(std::uint64_t offset, MutableBytes bytes) const {
  std::uint64_t word = word_at(key, offset >> 3);
  for (std::byte& byte : bytes) {
    byte = byte_of(word, offset);
    if ((++offset & 7U) == 0) word = word_at(key, offset >> 3);
  }
}

std::size_t StreamContent::matching(std::uint64_t offset, Bytes bytes) const {
  std::uint64_t word = word_at(key, offset >> 3);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != byte_of(word, offset)) return i;
    if ((++offset & 7U) == 0) word = word_at(key, offset >> 3);
  }
  return bytes.size();
}

}  // namespace holdfast::sim
