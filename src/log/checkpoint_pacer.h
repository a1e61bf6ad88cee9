// When checkpoints begin, and how they are spread over batches: one step a batch, off the ACK path.
#pragma once

#include <optional>

#include "log/format.h"
#include "log/log.h"

namespace holdfast::log {

class CheckpointPacer {
 public:
  // About how much one batch takes of a running checkpoint.
  static constexpr std::size_t kStepBytes = 16U << 10;

  // Bytes that a recovery now would read count from the start.
  CheckpointPacer(std::uint64_t every, std::uint64_t bytes_since) : every_(every), bytes_since_(bytes_since) {}

  void wrote(std::uint64_t bytes) { bytes_since_ += bytes; }
  bool running() const { return running_; }
  bool due() const { return !running_ && bytes_since_ >= every_; }
  void began(BatchPosition at, Lsn lsn);
  // Whether this batch has not had its step yet.
  bool step_due(Lsn open) const { return running_ && open != stepped_; }
  void stepped(Lsn open) { stepped_ = open; }
  Lsn begin_lsn() const { return begin_lsn_; }
  // The end record is in batch `lsn`: headers from there on point at the begin.
  void ended(Lsn lsn);

  struct Complete {
    BatchPosition begin;
    Lsn end_lsn;
  };
  const std::optional<Complete>& complete() const { return complete_; }

 private:
  std::uint64_t every_;
  std::uint64_t bytes_since_;
  bool running_ = false;
  BatchPosition begin_;
  Lsn begin_lsn_;
  Lsn stepped_;
  std::optional<Complete> complete_;
};

}  // namespace holdfast::log
