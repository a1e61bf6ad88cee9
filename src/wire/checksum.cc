#include "wire/checksum.h"

#include <cstring>

#include "base/endian.h"

namespace holdfast::wire {
namespace {

// The sum does not depend on the word size, nor (up to a swap of its two bytes) on byte order: RFC 1071 section 2. So
// 64 bits are loaded at a time in native order, and their 32-bit halves are added into 64-bit lanes, which cannot
// overflow below 16 GiB. Vector extensions, so that the compiler picks the instructions.
using Lanes = std::uint64_t __attribute__((vector_size(16)));

constexpr Lanes kLow = {0xffffffffU, 0xffffffffU};

inline Lanes load(const std::byte* at) {
  Lanes lanes;
  std::memcpy(&lanes, at, sizeof lanes);
  return lanes;
}

// Sum of a multiple of 64 bytes, in native order.
std::uint64_t sum_blocks(const std::byte* at, std::size_t blocks) {
  Lanes low = {0, 0};
  Lanes high = {0, 0};
  for (; blocks > 0; --blocks, at += 64) {
    const Lanes a = load(at);
    const Lanes b = load(at + 16);
    const Lanes c = load(at + 32);
    const Lanes d = load(at + 48);
    low += ((a & kLow) + (b & kLow)) + ((c & kLow) + (d & kLow));
    high += ((a >> 32) + (b >> 32)) + ((c >> 32) + (d >> 32));
  }
  const Lanes lanes = low + high;
  // Folded halfway, so that what is added to the sum later cannot overflow it.
  std::uint64_t sum = (lanes[0] & 0xffffffffU) + (lanes[0] >> 32);
  sum += (lanes[1] & 0xffffffffU) + (lanes[1] >> 32);
  return sum;
}

std::uint16_t fold(std::uint64_t sum) {
  sum = (sum & 0xffffffffU) + (sum >> 32);
  sum = (sum & 0xffffffffU) + (sum >> 32);
  sum = (sum & 0xffffU) + (sum >> 16);
  sum = (sum & 0xffffU) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace

std::uint16_t ones_complement_sum(Bytes bytes, std::uint16_t initial) {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t sum = 0;
  if (left >= 64) {
    sum = sum_blocks(at, left / 64);
    at += left / 64 * 64;
    left %= 64;
  }
  for (; left >= 4; left -= 4, at += 4) sum += load_le<std::uint32_t>(at);
  if (left >= 2) {
    sum += load_le<std::uint16_t>(at);
    left -= 2;
    at += 2;
  }
  if (left > 0) sum += std::to_integer<std::uint64_t>(*at);
  return ones_complement_add(__builtin_bswap16(fold(sum)), initial);
}

void ChecksumSum::add(Bytes piece) {
  std::uint16_t sum = ones_complement_sum(piece);
  // A piece that starts at an odd position has its bytes in the other half of each word (RFC 1071 section 2B).
  if (odd_) sum = __builtin_bswap16(sum);
  sum_ = ones_complement_add(sum_, sum);
  odd_ ^= piece.size() % 2 != 0;
}

}  // namespace holdfast::wire
