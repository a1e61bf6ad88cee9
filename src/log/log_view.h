// What a reader knows of somebody else's log: the locations, the chain as far as it is durable, and the index of each
// segment. Follows a log that grows.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "log/chain_walk.h"
#include "log/identity.h"
#include "log/reader.h"
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

  // The chain's segments that are there, ascending. What lies behind durable_end() in the last of them is not to be
  // shown.
  struct Segment {
    SegmentNumber number;
    Epoch epoch;
    Lsn first;
    Lsn last;  // of a segment to which nothing will be added; else 0
  };
  const std::vector<Segment>& segments() const { return segments_; }
  // From memory, a footer or a scan.
  Result<SegmentIndex> index_of(SegmentNumber segment);
  Lsn durable_end() const { return info_.end; }
  // Segments that could not be read while the table was built: what they hold of a stream is not in it.
  const std::vector<std::string>& damage() const { return damage_; }

 private:
  LogView() = default;
  void take_source(location::Location* location, const Identity& identity, std::size_t index);
  void inspect_locations();
  Result<void> rebuild();
  void collect_segments();
  SegmentNumber index_stable_segments();
  Result<SegmentIndex> scan(const Segment& segment) const;
  Lsn probe();
  unsigned absent_holders() const;
  Result<void> index_up_to(Lsn end);

  Identity identity_;
  LogKey key_;
  LogInfo info_;
  std::vector<location::Location*> locations_;  // usable ones, as sources_
  std::vector<std::size_t> info_index_;         // of each source
  std::uint32_t counting_ = 0;                  // bit i: source i counts for the quorum
  unsigned refilling_ = 0;                      // locations that do not count yet
  std::vector<std::unique_ptr<Source>> sources_;
  std::unique_ptr<Chain> chain_;
  std::unique_ptr<ChainWalk> walk_;  // stands at the durable end
  std::vector<Segment> segments_;
  std::map<std::uint64_t, SegmentIndex> scanned_;  // by segment: those without a footer
  Lsn stored_;                                     // what a location says that it held once
  StreamTable streams_;
  std::vector<std::string> damage_;
};

}  // namespace holdfast::log
