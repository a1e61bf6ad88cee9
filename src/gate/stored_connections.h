// The live connections of a log that no node runs: a checkpoint writes them as they were found.
#pragma once

#include "gate/checkpoint_listing.h"
#include "gate/recovery.h"

namespace holdfast::gate {

class StoredConnections final : public log::CheckpointSource {
 public:
  // Both outlive it.
  StoredConnections(log::Log& log, const std::map<StreamId, RecoveredConnection>& connections)
      : log_(log), connections_(connections) {}

  void checkpoint_begin() override;
  bool checkpoint_step(std::size_t budget) override;
  SegmentNumber first_needed(SegmentNumber before) override;

 private:
  log::Log& log_;
  const std::map<StreamId, RecoveredConnection>& connections_;
  StreamId written_;  // up to this one
  Listing listing_;   // of the next one
};

}  // namespace holdfast::gate
