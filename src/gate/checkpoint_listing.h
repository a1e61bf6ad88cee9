// How a checkpoint writes connections: a step at a time, and of one with very many outbound extents a record after the
// other, each with as many of them as fit (extents_from()).
#pragma once

#include <algorithm>

#include "gate/connection_record.h"
#include "gate/recovery.h"
#include "log/log.h"

namespace holdfast::gate {

// What one step may append. One record in any case, whatever its size: a large one must get its turn.
class StepBudget {
 public:
  explicit StepBudget(std::size_t bytes) : bytes_(bytes) {}

  bool fits(const ExtentRange& listed) {
    const std::size_t size = log::kRecordHeaderSize + encoded_size(static_cast<std::size_t>(listed.size()));
    if (written_ && size > bytes_) return false;
    written_ = true;
    bytes_ -= std::min(bytes_, size);
    return true;
  }

 private:
  std::size_t bytes_;
  bool written_ = false;
};

// How far the connection is listed that is being written.
class Listing {
 public:
  void begin() { of_ = StreamId{0}; }

  // Goes on with it from where the step before left it; `append(listed)` says whether that was written. False where it
  // is not done with.
  template <class Append>
  bool go_on(StreamId id, const Extents& outbound, Append&& append) {
    if (of_ != id) upto_ = 0;
    of_ = id;
    for (;;) {
      const ExtentRange listed = extents_from(outbound, upto_);
      const bool last = listed.end() == outbound.end();
      const std::uint64_t next = last ? 0 : listed.end()->offset;
      if (!append(listed)) return false;
      if (last) return true;
      upto_ = next;
    }
  }

 private:
  StreamId of_;
  std::uint64_t upto_ = 0;
};

// A connection as it was recovered. Lsn{0}: the log has no room now.
inline Lsn append_recovered(log::Log& log, StreamId id, const RecoveredConnection& connection,
                            const ExtentRange& listed) {
  log::RecordHeader header;
  header.type = log::RecordType::kConnection;
  header.stream = id;
  return log.append(header, encode(connection.record, listed));
}

}  // namespace holdfast::gate
