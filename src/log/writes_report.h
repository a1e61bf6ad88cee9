// What the log has written, for people.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace holdfast::log {

// What was written since the last report, and how.
struct WritesReport {
  std::uint64_t batches = 0, bytes = 0;               // issued
  std::uint64_t median_batch = 0, largest_batch = 0;  // bytes; a median is right to an eighth
  unsigned most_at_once = 0;                          // batches under way
  std::uint64_t most_bytes_at_once = 0;
  Duration median_time{}, longest_time{};  // from a batch's issue until it is durable
  // As they are now: the least time that a write has taken lately, and what may be under way.
  Duration least_time{};
  unsigned limit = 0;
  std::uint64_t limit_bytes = 0;
};

}  // namespace holdfast::log
