// Quorum arithmetic: how many locations must have what, and what is durable when each has a prefix.
#pragma once

#include <cstdint>
#include <span>

#include "base/units.h"

namespace holdfast::log {

// W when the operator gave none: all but one of three or more, else all.
constexpr unsigned default_stored_on(unsigned replicas) { return replicas >= 3 ? replicas - 1 : replicas; }

// Locations that an epoch's promise must reach: it meets every set of W that may hold durable batches, and every other
// promise.
constexpr unsigned promise_quorum(unsigned replicas, unsigned stored_on) {
  const unsigned covering = replicas - stored_on + 1;
  return stored_on > covering ? stored_on : covering;
}

// Members that must be read so that nothing durable is overlooked: they meet every set of W.
constexpr unsigned read_quorum(unsigned replicas, unsigned stored_on) { return replicas - stored_on + 1; }

// Old members that must know of a changed membership before it counts: they meet every promise quorum of the old one,
// and between them they have everything durable.
constexpr unsigned membership_quorum(unsigned replicas, unsigned stored_on) {
  const unsigned meeting = replicas - promise_quorum(replicas, stored_on) + 1;
  const unsigned reading = read_quorum(replicas, stored_on);
  return meeting > reading ? meeting : reading;
}

// The longest contiguous prefix of batches that one location has stored. Completions come in any order; at most kSpan
// batches beyond the prefix may be outstanding.
class Prefix {
 public:
  static constexpr std::uint64_t kSpan = 64;
  explicit Prefix(Lsn start = Lsn{}) : prefix_(start) {}
  void complete(Lsn lsn);
  Lsn value() const { return prefix_; }

 private:
  Lsn prefix_;
  std::uint64_t done_ = 0;  // bit i: prefix + 1 + i is stored
};

// The W-th highest of these prefixes; Lsn{0} where there are fewer than W. Reorders `prefixes`.
Lsn durable_on(std::span<Lsn> prefixes, unsigned stored_on);

}  // namespace holdfast::log
