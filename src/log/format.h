// Numbers of the log format that more than one file needs. docs/log-format.md is the specification.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/prf.h"
#include "base/units.h"
#include "location/location.h"

namespace holdfast::log {

// The format that this program writes, and the newest that it reads.
inline constexpr std::uint16_t kFormat = 1;

using location::kBlock;

inline constexpr std::size_t kRecordAlignment = 8;
// Largest record payload: one append with its commit prefix. Merged records stay below it too.
inline constexpr std::size_t kMaxRecordPayload = (128U << 10) + 8;
// Largest batch that is ever written, header and padding included.
inline constexpr std::size_t kMaxBatch = 5U << 20;
// Numbers of segments: no log gets there by writing; a stray file could.
inline constexpr SegmentNumber kSegmentNumberLimit{std::uint64_t{1} << 46};
// Locations of one log.
inline constexpr std::size_t kMaxReplicas = 64;

inline constexpr std::uint64_t kMinSegment = 1ULL << 20;
inline constexpr std::uint64_t kMaxSegment = 1ULL << 30;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) { return (value + to - 1) / to * to; }

constexpr SegmentNumber operator+(SegmentNumber segment, std::uint64_t n) { return SegmentNumber{segment.value + n}; }

using LogId = std::array<std::byte, 16>;

// What every check of a stored byte needs.
struct LogKey {
  LogId id{};
  Secret mac;
  std::uint64_t segment_size = 0;
};

// Where a batch begins.
struct BatchPosition {
  SegmentNumber segment;
  std::uint32_t offset = 0;  // bytes, a multiple of kBlock
  friend constexpr auto operator<=>(const BatchPosition&, const BatchPosition&) = default;
};

}  // namespace holdfast::log
