// Memory that a location can write from: aligned to a block or more.
#pragma once

#include <cstdlib>
#include <memory>

#include "base/assert.h"
#include "base/units.h"
#include "log/format.h"

namespace holdfast::log {

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size, std::size_t alignment = kBlock)
      : data_(static_cast<std::byte*>(std::aligned_alloc(alignment, round_up(size, alignment)))), size_(size) {
    HF_ASSERT(data_ != nullptr);
  }
  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  MutableBytes bytes() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* at) const { std::free(at); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace holdfast::log
