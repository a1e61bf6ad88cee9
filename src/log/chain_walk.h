// Walks the chain batch by batch, at all locations at once: each batch is checked wherever it lies, so that holes and
// rot at one location are bridged by another, and it is known who lacks what.
#pragma once

#include <optional>

#include "log/chain.h"
#include "log/replica_set.h"

namespace holdfast::log {

class ChainWalk {
 public:
  // kAll: every location is looked at. kAny: the first that has a batch will do.
  enum class Look : std::uint8_t { kAll, kAny };
  // Begins at a batch of the chain, whose runs reach that far back. The runs must not change while this walks.
  ChainWalk(const Chain& chain, BatchPosition start, Look look);

  void look_everywhere() { look_ = Look::kAll; }

  struct Step {
    BatchHeader header;
    Bytes bytes;             // of the first location that has it; valid until the next call
    ReplicaSet present = 0;  // bit i: sources()[i] has it, every check passed
    ReplicaSet damaged =
        0;  // bit i: sources()[i] has something else there that is no batch, cannot be read there, or lacks the file
  };
  // The next batch; nullopt where no location has one. kCorrupt where that is inside an epoch that a later one has
  // closed.
  Result<std::optional<Step>> next();

  // The place of the batch that next() would look for (the first of the two it tries).
  BatchPosition position() const { return position_; }
  const EpochRun& run() const { return *run_; }
  // Of the last batch walked; nullopt before the first.
  const std::optional<BatchHeader>& last() const { return last_; }
  // What the next batch must be, where that is known.
  std::optional<Lsn> expected() const { return expected_; }

 private:
  std::optional<Step> look(BatchPosition at);
  void accept(const Step& step);

  const Chain& chain_;
  Look look_;
  const EpochRun* run_;
  BatchPosition position_;
  std::optional<Lsn> expected_;
  std::uint64_t predecessor_ = 0;
  std::optional<BatchHeader> last_;
};

}  // namespace holdfast::log
