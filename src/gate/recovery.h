// Turns records back into connections: takes what Log::open() shows, in log order, and keeps for each live connection
// its last record, brought up to date by the data records behind it, and where its unacknowledged outbound bytes lie.
#pragma once

#include <cstdint>
#include <map>

#include "gate/connection_record.h"
#include "log/log.h"

namespace holdfast::gate {

struct RecoveredConnection {
  ConnectionRecord record;
  Extents outbound;  // ascending; may begin below snd_una; not beyond snd_end
};

class Recovery : public log::RecordVisitor {
 public:
  void on_record(const log::RecordHeader& header, Bytes payload, const log::Extent& where) override;

  // Live connections in ascending order of id.
  std::map<StreamId, RecoveredConnection>& connections() { return connections_; }
  // Bytes of window that these connections' peers may believe in.
  std::uint64_t promised_room() const;
  // Records that made no sense (a data record of an unknown stream, a gap): bugs or rot, reported, never guessed at.
  std::uint64_t strange_records() const { return strange_; }

 private:
  void on_connection(const log::RecordHeader& header, Bytes payload);
  void on_inbound(const log::RecordHeader& header, const log::Extent& where);
  void on_outbound(const log::RecordHeader& header, const log::Extent& where);

  std::map<StreamId, RecoveredConnection> connections_;
  std::uint64_t strange_ = 0;
};

}  // namespace holdfast::gate
