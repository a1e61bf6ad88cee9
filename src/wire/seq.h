// 32-bit sequence numbers that wrap (RFC 9293 section 3.4). Comparison is only meaningful within 2^31 of each other.
#pragma once

#include <cstdint>

namespace holdfast::wire {

struct SeqNum {
  std::uint32_t value = 0;

  constexpr SeqNum() = default;
  constexpr explicit SeqNum(std::uint32_t v) : value(v) {}

  friend constexpr bool operator==(SeqNum, SeqNum) = default;
  friend constexpr SeqNum operator+(SeqNum a, std::uint32_t n) { return SeqNum{a.value + n}; }
  friend constexpr SeqNum operator-(SeqNum a, std::uint32_t n) { return SeqNum{a.value - n}; }
  // Bytes from b to a; the caller knows that a is not before b.
  friend constexpr std::uint32_t operator-(SeqNum a, SeqNum b) { return a.value - b.value; }
  constexpr SeqNum& operator+=(std::uint32_t n) {
    value += n;
    return *this;
  }

  // Signed distance from b to a.
  static constexpr std::int32_t distance(SeqNum a, SeqNum b) { return static_cast<std::int32_t>(a.value - b.value); }
  friend constexpr bool operator<(SeqNum a, SeqNum b) { return distance(a, b) < 0; }
  friend constexpr bool operator>(SeqNum a, SeqNum b) { return distance(a, b) > 0; }
  friend constexpr bool operator<=(SeqNum a, SeqNum b) { return distance(a, b) <= 0; }
  friend constexpr bool operator>=(SeqNum a, SeqNum b) { return distance(a, b) >= 0; }
};

constexpr SeqNum max(SeqNum a, SeqNum b) { return a < b ? b : a; }
constexpr SeqNum min(SeqNum a, SeqNum b) { return a < b ? a : b; }

}  // namespace holdfast::wire
