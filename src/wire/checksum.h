// The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit big-endian words.
// A sum of all words including a correct checksum is 0xffff.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace holdfast::wire {

// One's complement sum, folded to 16 bits, not inverted. An odd last byte counts as if a zero byte followed (RFC 1071
// section 4.1). `initial` is a sum taken before, over an even number of bytes.
std::uint16_t ones_complement_sum(Bytes bytes, std::uint16_t initial = 0);

// Sum of two sums.
constexpr std::uint16_t ones_complement_add(std::uint16_t a, std::uint16_t b) {
  const std::uint32_t sum = std::uint32_t{a} + b;
  return static_cast<std::uint16_t>(sum + (sum >> 16));
}

inline std::uint16_t internet_checksum(Bytes bytes) { return static_cast<std::uint16_t>(~ones_complement_sum(bytes)); }

// One's complement sum over bytes that lie in several pieces, of even or odd length.
class ChecksumSum {
 public:
  explicit ChecksumSum(std::uint16_t initial = 0) : sum_(initial) {}
  void add(Bytes piece);
  std::uint16_t sum() const { return sum_; }
  std::uint16_t checksum() const { return static_cast<std::uint16_t>(~sum_); }

 private:
  std::uint16_t sum_;
  bool odd_ = false;  // an odd number of bytes was added so far
};

// The checksum after one 16-bit word that it covers changed (RFC 1624, equation 3).
constexpr std::uint16_t update_checksum(std::uint16_t checksum, std::uint16_t from, std::uint16_t to) {
  const std::uint16_t sum =
      ones_complement_add(static_cast<std::uint16_t>(~checksum), static_cast<std::uint16_t>(~from));
  return static_cast<std::uint16_t>(~ones_complement_add(sum, to));
}

}  // namespace holdfast::wire
