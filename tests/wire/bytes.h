// Bytes for the tests of packet formats: from hex, and from a seed.
#pragma once

#include <cctype>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace holdfast::wire::testing {

using Buffer = std::vector<std::byte>;

// Whitespace is skipped.
inline Buffer from_hex(std::string_view hex) {
  Buffer out;
  int digits = 0;
  unsigned value = 0;
  for (const char c : hex) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) continue;
    value = value * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    if (++digits % 2 == 0) {
      out.push_back(static_cast<std::byte>(value));
      value = 0;
    }
  }
  return out;
}

// The same values for the same seed, on every platform.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool coin() { return below(2) == 1; }
  template <class T>
  T any() {
    return static_cast<T>(engine_());
  }
  Buffer bytes(std::size_t size) {
    Buffer out(size);
    for (auto& b : out) b = static_cast<std::byte>(engine_());
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

// A copy that ends where its allocation ends, so that a sanitizer sees a read beyond it.
inline Buffer exactly(Bytes bytes) { return Buffer(bytes.begin(), bytes.end()); }

}  // namespace holdfast::wire::testing
