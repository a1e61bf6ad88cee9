// Loads and stores of integers at any alignment, in network order (be) for packets and little-endian (le) for the log.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace holdfast {

static_assert(std::endian::native == std::endian::little, "the log format is little-endian; port endian.h first");

template <class T>
T load_le(const std::byte* at) {
  static_assert(std::is_unsigned_v<T>);
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void store_le(std::byte* at, T value) {
  static_assert(std::is_unsigned_v<T>);
  std::memcpy(at, &value, sizeof value);
}

inline std::uint16_t load_be16(const std::byte* at) { return __builtin_bswap16(load_le<std::uint16_t>(at)); }
inline std::uint32_t load_be32(const std::byte* at) { return __builtin_bswap32(load_le<std::uint32_t>(at)); }
inline void store_be16(std::byte* at, std::uint16_t value) { store_le(at, __builtin_bswap16(value)); }
inline void store_be32(std::byte* at, std::uint32_t value) { store_le(at, __builtin_bswap32(value)); }
inline void store_be64(std::byte* at, std::uint64_t value) { store_le(at, __builtin_bswap64(value)); }

}  // namespace holdfast
