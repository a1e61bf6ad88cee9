// The clock behind TSval (RFC 7323), ISNs (RFC 6528) and SYN cookies. It must never go back on a peer, over restarts
// and machines, so it is not the machine's: it goes on from the ceiling that the log holds, and no value above a
// *stored* ceiling is ever shown.
//
// Nor does it leap where the machine's clock was set, or the node was away for long. A leap of 25 days or more would
// look like one backwards to peers' PAWS, and cookies of more than one life ago could not be told from old ones: as it
// is, what it has advanced is what all lives together have run, and up to kAhead for each restart.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/units.h"

namespace holdfast::gate {

class NodeClock {
 public:
  // How far ahead a ceiling is promised: what a restart may jump. While nothing is stored for so long the clock stands
  // still, and then goes on from there.
  static constexpr std::uint64_t kAhead = 2'000'000'000;

  // `start`: the adopted log's ceiling; a new log's, and where there is none, the wall clock. Nanoseconds.
  NodeClock(std::uint64_t start, Time now) : start_(start), base_(start), started_(now) {}

  std::uint64_t start() const { return start_; }
  std::uint64_t raw(Time now) const { return base_ + static_cast<std::uint64_t>((now - started_).count()); }
  std::uint64_t ceiling_to_promise(Time now) const { return raw(now) + kAhead; }
  // To be called before the stored ceiling may rise: where the clock stands at it, it goes on from there. A leap
  // instead would make old what is new (cookies), and a round trip of every echo of what was sent meanwhile.
  void stand_at(std::uint64_t stored_ceiling, Time now) {
    const std::uint64_t at = raw(now);
    if (stored_ceiling == 0 || at <= stored_ceiling) return;
    base_ -= at - stored_ceiling;
    stood_at_ = stored_ceiling;
    stood_until_ = now;
  }
  // Where it stood last: what was shown then was shown for a while. Nothing: it has not stood for so long that 32 bits
  // of milliseconds could not tell.
  std::optional<std::uint64_t> stood_at(Time now) const {
    return stood_at_ && now - stood_until_ < std::chrono::hours(24 * 24) ? stood_at_ : std::nullopt;
  }
  // What may be shown, given the stored ceiling.
  std::uint64_t shown(Time now, std::uint64_t stored_ceiling) const { return std::min(raw(now), stored_ceiling); }

 private:
  std::uint64_t start_, base_;
  Time started_, stood_until_{};
  std::optional<std::uint64_t> stood_at_;
};

}  // namespace holdfast::gate
