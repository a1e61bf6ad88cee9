// The clock behind TSval (RFC 7323) and ISNs (RFC 6528). It must never go back on a peer, over restarts and machines,
// so it is not the machine's: it starts at the ceiling that the log holds, and no value above a *stored* ceiling is
// ever shown.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/units.h"

namespace holdfast::gate {

class NodeClock {
 public:
  // How far ahead a ceiling is promised: what a restart may jump. While nothing is stored for so long the clock stands
  // still.
  static constexpr std::uint64_t kAhead = 2'000'000'000;

  // `start`: the adopted log's ceiling, or the wall clock where that is later. Nanoseconds.
  NodeClock(std::uint64_t start, Time now) : base_(start), started_(now) {}

  std::uint64_t raw(Time now) const { return base_ + static_cast<std::uint64_t>((now - started_).count()); }
  std::uint64_t ceiling_to_promise(Time now) const { return raw(now) + kAhead; }
  // What may be shown, given the stored ceiling.
  std::uint64_t shown(Time now, std::uint64_t stored_ceiling) const { return std::min(raw(now), stored_ceiling); }

 private:
  std::uint64_t base_;
  Time started_;
};

}  // namespace holdfast::gate
