// Hashes of small values, the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast::model {

class Hash {
 public:
  template <class T>
  Hash& add(T value) {
    state_ = (state_ ^ static_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15ULL;
    state_ ^= state_ >> 29;
    return *this;
  }
  std::size_t value() const { return static_cast<std::size_t>(state_ ^ state_ >> 32); }

 private:
  std::uint64_t state_ = 0x243f6a8885a308d3ULL;
};

}  // namespace holdfast::model
