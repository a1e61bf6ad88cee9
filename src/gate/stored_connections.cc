#include "gate/stored_connections.h"

#include <algorithm>

#include "gate/service.h"

namespace holdfast::gate {

void StoredConnections::checkpoint_begin() {
  written_ = StreamId{0};
  listing_.begin();
}

bool StoredConnections::checkpoint_step(std::size_t budget) {
  StepBudget step(budget);
  for (auto at = connections_.upper_bound(written_); at != connections_.end(); ++at) {
    const auto& [id, connection] = *at;
    const bool done = listing_.go_on(id, connection.outbound, [&](const ExtentRange& listed) {
      return step.fits(listed) && append_recovered(log_, id, connection, listed) != Lsn{0};
    });
    if (!done) return true;
    written_ = id;
  }
  return false;
}

SegmentNumber StoredConnections::first_needed(SegmentNumber before) {
  SegmentNumber first = before;
  for (const auto& [id, connection] : connections_) {
    // What its peer sent is for its program, which may not have read it yet.
    if (connection.record.service == static_cast<std::uint8_t>(ServiceKind::kClient)) return {};
    const std::uint64_t una = connection.record.snapshot.snd_una.value;
    for (const log::Extent& extent : connection.outbound) {
      if (extent.offset + extent.length > una) first = std::min(first, extent.segment);
    }
  }
  return first;
}

}  // namespace holdfast::gate
