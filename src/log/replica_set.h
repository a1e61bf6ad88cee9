// A set of locations of one log, by index: bit i is location i.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "log/format.h"

namespace holdfast::log {

using ReplicaSet = std::uint64_t;
static_assert(kMaxReplicas <= std::numeric_limits<ReplicaSet>::digits);

constexpr ReplicaSet replica_bit(std::size_t index) { return ReplicaSet{1} << index; }
constexpr ReplicaSet first_replicas(std::size_t count) {
  return count >= std::numeric_limits<ReplicaSet>::digits ? ~ReplicaSet{0} : replica_bit(count) - 1;
}

}  // namespace holdfast::log
