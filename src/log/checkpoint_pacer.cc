#include "log/checkpoint_pacer.h"

#include "base/assert.h"

namespace holdfast::log {

void CheckpointPacer::began(BatchPosition at, Lsn lsn) {
  HF_ASSERT(!running_);
  running_ = true;
  bytes_since_ = 0;
  begin_ = at;
  begin_lsn_ = lsn;
  stepped_ = Lsn{};
}

void CheckpointPacer::ended(Lsn lsn) {
  HF_ASSERT(running_);
  running_ = false;
  complete_ = Complete{begin_, lsn};
}

}  // namespace holdfast::log
