// Vocabulary types. Mixing two of them does not compile.
//
// Threads: values, safe everywhere.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace holdfast {

// The core reads no clock (ARCHITECTURE.md, rule 4): `Time` is handed in. It is monotonic, in nanoseconds since a
// start of the caller's choosing, never wall-clock time.
struct CoreClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<CoreClock>;
  static constexpr bool is_steady = true;
};
using Time = CoreClock::time_point;
using Duration = std::chrono::nanoseconds;

// "No deadline".
inline constexpr Time kNever = Time::max();

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

// An unsigned integer that only mixes with its own kind. `Tag` is never defined.
template <class Tag, class Rep>
struct Strong {
  Rep value{};

  constexpr Strong() = default;
  constexpr explicit Strong(Rep v) : value(v) {}
  friend constexpr auto operator<=>(const Strong&, const Strong&) = default;
};

// A position in one direction of a connection's byte stream: 0 is the first data byte (the SYN is not counted).
struct StreamOffset : Strong<struct StreamOffsetTag, std::uint64_t> {
  using Strong::Strong;
  friend constexpr StreamOffset operator+(StreamOffset a, std::uint64_t n) { return StreamOffset{a.value + n}; }
  friend constexpr std::uint64_t operator-(StreamOffset a, StreamOffset b) { return a.value - b.value; }
};

// Log sequence number: the number of a batch, counted from 1 over the whole life of a log, epochs included.
// 0 means "before everything": always durable.
struct Lsn : Strong<struct LsnTag, std::uint64_t> {
  using Strong::Strong;
  friend constexpr Lsn operator+(Lsn a, std::uint64_t n) { return Lsn{a.value + n}; }
};

// A connection's number in its log: unique for the log's whole life, never 0 for a real stream.
struct StreamId : Strong<struct StreamIdTag, std::uint64_t> {
  using Strong::Strong;
};

// A segment file's (or object's) number in a log, counted from 1.
struct SegmentNumber : Strong<struct SegmentNumberTag, std::uint64_t> {
  using Strong::Strong;
};

}  // namespace holdfast

template <>
struct std::hash<holdfast::StreamId> {
  std::size_t operator()(holdfast::StreamId id) const noexcept { return std::hash<std::uint64_t>{}(id.value); }
};
