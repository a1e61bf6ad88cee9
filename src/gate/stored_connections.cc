#include "gate/stored_connections.h"

#include <algorithm>

#include "gate/service.h"

namespace holdfast::gate {

void StoredConnections::checkpoint_begin() {
  written_ = StreamId{0};
  listed_upto_ = 0;
}

bool StoredConnections::checkpoint_step(std::size_t budget) {
  bool any = false;
  for (auto at = connections_.upper_bound(written_); at != connections_.end();) {
    const auto& [id, connection] = *at;
    const ExtentRange listed = extents_from(connection.outbound, listed_upto_);
    const std::size_t size = log::kRecordHeaderSize + encoded_size(static_cast<std::size_t>(listed.size()));
    if (any && size > budget) return true;
    log::RecordHeader header;
    header.type = log::RecordType::kConnection;
    header.stream = id;
    if (log_.append(header, encode(connection.record, listed)) == Lsn{0}) return true;
    any = true;
    budget -= std::min(budget, size);
    const bool last = listed.end() == connection.outbound.end();
    listed_upto_ = last ? 0 : listed.end()->offset;
    if (!last) continue;
    written_ = id;
    ++at;
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
