#include "gate/recovery.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace holdfast::gate {
namespace {

// A direction ended: what that makes of the state (RFC 9293 figure 5).
void inbound_ended(tcp::Snapshot& s) {
  s.rcv_fin = true;
  switch (s.state) {
    case tcp::State::kSynReceived:
    case tcp::State::kEstablished:
      s.state = tcp::State::kCloseWait;
      break;
    case tcp::State::kFinWait1:
      s.state = s.fin_acked ? tcp::State::kTimeWait : tcp::State::kClosing;
      break;
    case tcp::State::kFinWait2:
      s.state = tcp::State::kTimeWait;
      break;
    default:
      break;
  }
}

void outbound_ended(tcp::Snapshot& s) {
  s.snd_fin = true;
  if (s.state == tcp::State::kSynReceived || s.state == tcp::State::kEstablished) s.state = tcp::State::kFinWait1;
  if (s.state == tcp::State::kCloseWait) s.state = tcp::State::kLastAck;
}

bool ends_by(const log::Extent& extent, std::uint64_t offset) { return extent.offset + extent.length <= offset; }

// What a record lists adds to what is known already: a record need not list all.
void add_extents(Extents& known, const std::vector<log::Extent>& listed, std::uint64_t una) {
  while (!known.empty() && ends_by(known.front(), una)) known.pop_front();
  if (listed.empty()) return;
  const auto ascends = [](const log::Extent& a, const log::Extent& b) { return a.offset < b.offset; };
  if (known.empty() || ascends(known.back(), listed.front())) {
    known.insert(known.end(), listed.begin(), listed.end());
    return;
  }
  Extents merged;
  std::ranges::set_union(known, listed, std::back_inserter(merged), ascends);
  known = std::move(merged);
}

}  // namespace

std::uint64_t Recovery::promised_room() const {
  std::uint64_t room = 0;
  for (const auto& [id, connection] : connections_) {
    const tcp::Snapshot& s = connection.record.snapshot;
    if (s.edge > s.rcv_end && !s.rcv_fin) room += s.edge - s.rcv_end;
  }
  return room;
}

void Recovery::on_record(const log::RecordHeader& header, Bytes payload, const log::Extent& where) {
  switch (header.type) {
    case log::RecordType::kConnection:
      return on_connection(header, payload);
    case log::RecordType::kIn:
      return on_inbound(header, where);
    case log::RecordType::kOut:
      return on_outbound(header, where);
    case log::RecordType::kClose:
      connections_.erase(header.stream);
      return;
    case log::RecordType::kEpochStart:
    case log::RecordType::kCheckpointBegin:
    case log::RecordType::kCheckpointEnd:
      return;
  }
}

void Recovery::on_connection(const log::RecordHeader& header, Bytes payload) {
  auto record = decode_connection_record(payload);
  auto outbound = decode_outbound(payload);
  if (!record || !outbound) {
    ++strange_;
    return;
  }
  // Written again for a checkpoint after its close record was appended: cannot be, and would raise the dead.
  if (record->snapshot.state == tcp::State::kClosed) {
    connections_.erase(header.stream);
    return;
  }
  RecoveredConnection& connection = connections_[header.stream];
  connection.record = *record;
  add_extents(connection.outbound, *outbound, record->snapshot.snd_una.value);
}

void Recovery::on_inbound(const log::RecordHeader& header, const log::Extent& where) {
  const auto found = connections_.find(header.stream);
  if (found == connections_.end()) return;  // its record comes later in the checkpoint, and is newer
  tcp::Snapshot& s = found->second.record.snapshot;
  if (header.offset != s.rcv_end.value || s.rcv_fin) {
    ++strange_;
    return;
  }
  if (s.state == tcp::State::kSynReceived) s.state = tcp::State::kEstablished;
  s.rcv_end = s.rcv_end + header.length;
  s.edge = std::max(s.edge, s.rcv_end + header.extra);
  if ((header.flags & log::kFin) != 0) inbound_ended(s);
  if ((header.flags & log::kEcho) == 0) return;
  if (header.length > 0) found->second.outbound.push_back(where);
  s.snd_end = s.snd_end + header.length;
  if ((header.flags & log::kFin) != 0) outbound_ended(s);
}

void Recovery::on_outbound(const log::RecordHeader& header, const log::Extent& where) {
  const auto found = connections_.find(header.stream);
  if (found == connections_.end()) return;
  tcp::Snapshot& s = found->second.record.snapshot;
  // Appended anew before older segments were to be released. The first copy is still there, or the connection's record
  // in the checkpoint that released it says where this one is.
  if ((header.flags & log::kAnew) != 0) return;
  if (header.offset != s.snd_end.value || s.snd_fin) {
    ++strange_;
    return;
  }
  if (where.length > 0) found->second.outbound.push_back(where);
  s.snd_end = s.snd_end + where.length;
  if ((header.flags & log::kFin) != 0) outbound_ended(s);
}

}  // namespace holdfast::gate
