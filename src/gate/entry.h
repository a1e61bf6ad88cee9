// A connection as the gate sees it: the TCP machine, what of it is appended and stored, and what is promised to its
// peer.
#pragma once

#include <memory>
#include <vector>

#include "base/units.h"
#include "gate/connection_record.h"
#include "gate/release_queue.h"
#include "gate/service.h"
#include "tcp/connection.h"

namespace holdfast::gate {

struct Entry {
  StreamId id;
  ServiceKind service = ServiceKind::kStore;
  std::unique_ptr<tcp::Connection> connection;
  ClientHandler* handler = nullptr;  // kClient only
  std::uint64_t opened = 0;          // wall clock, nanoseconds since 1970

  // Edges. `appended` is in the log's open batch or before it; `stored` is durable.
  StoredEdges appended;
  StoredEdges stored;
  std::uint64_t stored_ticket = ~std::uint64_t{0};  // of this entry's last kStored item

  // Window: the room promised to the peer beyond what was received, and reserved in the log.
  StreamOffset promised_edge;  // by a predecessor, who may have had more room
  StreamOffset reserved_edge;
  std::uint32_t window_next =
      0;                  // bytes from the stored edge: promised by the next data record, in force once that is stored
  StreamOffset grown_at;  // received edge at the last growth
  bool starved = false;   // the log had less room than was wanted
  bool promise_owed = false;  // room is reserved that no record told of when it should have

  // Where the unacknowledged outbound bytes lie, for checkpoints. Ascending. Empty for a volatile node.
  Extents outbound;
  // Of these there are as many as are kept: the window is closed until a part is acknowledged.
  bool crowded = false;

  // kClient of a durable node: received and not yet stored.
  std::vector<std::byte> unread;

  std::uint32_t items = 0;  // in the release queue
  bool folded = false;      // folded_note waits for folded_lsn
  tcp::AckNote folded_note;
  Lsn folded_lsn;

  StreamOffset out_told;  // what the connection knows to be stored
  bool out_fin_told = false;
  bool want_fin = false;        // the service is done; the FIN's record is not appended yet
  Lsn record_lsn;               // of the newest record that is waited for: copies of it are counted
  bool awaits_copies = false;   // on the list of roll calls
  bool record_awaited = false;  // the connection says nothing until a new record is stored
  bool record_dirty = false;    // state changed since the last connection record
  bool tell_established = false, tell_writable = false, told_peer_fin = false;  // kClient
  bool touched = false;                                                         // on the list of this turn
  bool close_recorded = false;
  bool unspoken = false;   // resumed, and has not spoken yet
  bool half_open = false;  // counted against its listener's backlog
  bool by_cookie = false;  // opened by a SYN cookie, perhaps: duplicates of the ACK that did may still come
  bool finished = false;   // closed; removed once no item refers to it
  tcp::CloseReason close_reason = tcp::CloseReason::kNormal;

  Time timer = kNever;  // key in the timer heap; at or before connection->deadline()
  std::size_t timer_slot = ~std::size_t{0};
};

}  // namespace holdfast::gate
