// Which node is to have which bucket. Every node computes the same from the same view of the members, and does of it
// what concerns itself; where views differ for a moment, a bucket's log still has one owner (location/rados/pool.h).
//
// - A bucket that nobody has is taken by the node that rendezvous hashing prefers among those with room.
// - A bucket that somebody has moves only to even out, one at a time for each node that takes: from a node that leaves,
//   else from the fullest to the emptiest, until they differ by no more than one.
//
// Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cluster/bucket.h"

namespace holdfast::cluster {

struct Placed {
  std::string identity;
  bool leaving = false;
  std::vector<Bucket> serving;
  std::vector<Bucket> acquiring;  // has begun to take it, or to ask for it
};

struct Step {
  Bucket bucket = 0;
  std::string to;
  std::string from;  // empty: nobody has it
  friend bool operator==(const Step&, const Step&) = default;
};

// What is to begin now. `members`: those that live, in any order.
std::vector<Step> next_steps(std::span<const Placed> members, std::uint32_t buckets);

}  // namespace holdfast::cluster
