// Memory for send buffers and reassembly, in power-of-two blocks that go back to a free list: an idle connection holds
// none, a busy one gets them without a call to the allocator. Each thread has its own lists (no lock), bounded in
// bytes.
#pragma once

#include <cstddef>
#include <utility>

#include "base/units.h"

namespace holdfast::tcp {

inline constexpr std::size_t kMinBlock = 4096;

// Owns one block; empty after a move.
class Block {
 public:
  Block() = default;
  // At least `size` bytes, rounded up to a power of two not below kMinBlock; not initialised.
  explicit Block(std::size_t size);
  ~Block() { release(); }
  Block(Block&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Block& operator=(Block&& other) noexcept {
    if (this != &other) {
      release();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  void release();
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace holdfast::tcp
