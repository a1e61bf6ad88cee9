// The receive side of a connection: RCV.NXT and its two companions that the gate brings, "noted" and "released"
// (connection.h), with window, reassembly, timestamps and ACK policy.
//
// Invariant: released <= noted <= next, all positions (sequence.h: the peer's FIN counts one).
#pragma once

#include <cstdint>
#include <optional>

#include "tcp/ack_policy.h"
#include "tcp/reassembly.h"
#include "tcp/receive_window.h"
#include "tcp/sequence.h"
#include "tcp/timestamps.h"
#include "wire/seq.h"
#include "wire/tcp.h"

namespace holdfast::tcp {

struct Receiver {
  explicit Receiver(std::uint32_t reassembly_bytes) : reassembly(reassembly_bytes) {}

  wire::SeqNum irs;
  bool synced = false;                 // irs is known, and its acknowledgment may be sent: "released" means something
  StreamOffset next;                   // RCV.NXT
  StreamOffset noted;                  // RFC 7323's Last.ACK.sent
  StreamOffset released;               // what every segment that leaves acknowledges
  std::uint32_t released_ts = 0;       // and its TSecr
  bool fin = false;                    // the peer's FIN is counted in `next`
  std::optional<StreamOffset> fin_at;  // where the peer's stream ends, once a FIN was seen, in order or not
  std::optional<StreamOffset> urgent;  // first position that is not urgent (RFC 9293 MUST-62)

  bool refused = false;  // the host had no room for the bytes at `next` when they came last

  std::uint8_t shift = 0;  // of the windows that we send
  ReceiveWindow window;
  // By a predecessor, who had more room: what the peer has sent may lie up to here, and so may the SEQ of its ACKs.
  StreamOffset promised;
  AckPolicy ack_policy;
  RecentTimestamp recent;
  Reassembly reassembly;

  std::optional<wire::SackBlock> dsack;  // to report with the next segment that leaves (RFC 2883)
  std::uint32_t held_notes = 0;          // given to the host and not back yet
  std::uint32_t notes_at_edge = 0;       // of these, those that repeat the ACK of an earlier one
  bool note_postponed = false;           // too many are out: one more when some come back

  StreamOffset data_end() const { return StreamOffset{next.value - (fin ? 1 : 0)}; }
  wire::SeqNum next_seq() const { return to_seq(irs, next); }
  bool unnoted() const { return noted < next; }
  // Everything that arrived is acknowledged.
  bool all_released() const { return released == next; }
  // The SACK blocks, `most` at most, that a segment which leaves now may carry (connection.h: never below an unreleased
  // edge).
  wire::SackBlocks sack_blocks(std::uint8_t most) const;
};

}  // namespace holdfast::tcp
