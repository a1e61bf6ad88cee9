// Files vanish: by a repair of the file system, by somebody's slip. A location that says that it holds everything, and
// lacks a segment in front of the tail that another has, gets it back; what nobody can give back is told.
//
// Nothing here is needed for the start that it belongs to: what cannot be mended stands in nobody's way.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "log/log.h"
#include "log/replica_set.h"
#include "log/tail_scan.h"

namespace holdfast::log {

class LostSegments {
 public:
  // The chain's runs are extended as far as is needed.
  LostSegments(Chain& chain, const LogKey& key, const Tail& tail, const Options& options)
      : chain_(chain), key_(key), tail_(tail), options_(options), left_(options.copy_limit) {}

  // `spares`, by source: a number behind the end that nothing uses there; none for a location that is not active. Tells
  // Options::on_lost_segments, and copies no more than Options::copy_limit in all.
  void restore(const std::vector<std::optional<SegmentNumber>>& spares);

 private:
  // By number, the segments in front of the tail that some location has: bit i, source i is active and lacks it.
  using Lacking = std::map<std::uint64_t, ReplicaSet>;

  Lacking compare(const std::vector<std::optional<SegmentNumber>>& spares) const;
  std::uint64_t gone_everywhere(const Lacking& there);
  void leave_out_what_nobody_misses(Lacking& lacking);
  void restore(std::size_t source, SegmentNumber spare, const std::vector<SegmentNumber>& lost, std::uint64_t gone);

  Chain& chain_;
  const LogKey& key_;
  const Tail& tail_;
  const Options& options_;
  std::uint64_t left_;   // bytes that may still be copied
  std::string problem_;  // why some are lost
};

}  // namespace holdfast::log
