// What a reader knows of somebody else's log: the locations, the chain as far as it is durable, and the index of each
// segment. Follows a log that grows.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "log/chain_walk.h"
#include "log/identity.h"
#include "log/reader.h"
#include "log/replica_set.h"
#include "log/segment_list.h"
#include "log/stream_table.h"

namespace holdfast::log {

class LogView {
 public:
  static Result<std::unique_ptr<LogView>> open(const std::vector<location::Location*>& locations);

  // True when the durable end moved.
  Result<bool> refresh();

  const LogInfo& info() const { return info_; }
  const LogKey& key() const { return key_; }
  const StreamTable& streams() const { return streams_; }
  const Chain& chain() const { return *chain_; }

  // The chain's segments, ascending. What lies behind durable_end() in the last of them is not to be shown.
  const std::vector<ChainSegment>& segments() const { return segments_; }
  // From memory, a footer or a scan.
  Result<SegmentIndex> index_of(SegmentNumber segment);
  Lsn durable_end() const { return info_.end; }

 private:
  LogView() = default;
  void take_source(location::Location* location, const Identity& identity, std::size_t index);
  void inspect_locations();
  Result<void> rebuild();
  void forget_before(SegmentNumber first);
  SegmentNumber index_stable_segments();
  Lsn latest_end(std::size_t index) const;
  void take_what_is_left(ChainSegment& segment);
  Result<void> scan(const ChainSegment& segment, SegmentIndex& index) const;
  std::vector<Source*> all_sources() const;
  bool has_owner() const;
  Lsn probe();
  unsigned absent_holders() const;
  bool enough_to_start() const;
  Result<void> index_up_to(Lsn end);
  void look_for_rot();
  void tell_damage();

  Identity identity_;
  LogKey key_;
  LogInfo info_;
  std::vector<location::Location*> locations_;  // usable ones, as sources_
  std::vector<std::size_t> info_index_;         // of each source
  ReplicaSet counting_ = 0;                     // bit i: source i counts for the quorum
  unsigned refilling_ = 0;                      // locations that do not count yet
  std::vector<std::unique_ptr<Source>> sources_;
  std::unique_ptr<Chain> chain_;
  std::unique_ptr<ChainWalk> walk_;  // stands at the durable end
  std::vector<ChainSegment> segments_;
  std::map<std::uint64_t, SegmentIndex> scanned_;  // by segment: those without a footer
  Lsn stored_;                                     // what a location says that it held once
  StreamTable streams_;
  std::vector<std::string> damage_;  // segments that could not be read while the table was built
  std::string rot_;                  // what was stored behind the end, and cannot be read
};

}  // namespace holdfast::log
