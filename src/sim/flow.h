// The oracle's notes about one TCP connection of the node, taken from frames alone.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "sim/coverage.h"
#include "sim/packet.h"
#include "sim/scenario.h"
#include "wire/address.h"

namespace holdfast::sim {

struct Flow {
  wire::FourTuple tuple;                 // local is the node
  const StreamPlan* plan = nullptr;      // none: a SYN of nobody that we know
  bool dialled = false;                  // opened by the node
  bool forged = false;                   // by a SYN of the attacker
  std::optional<wire::SeqNum> irs, iss;  // the peer's and the node's initial sequence numbers

  // ---- What the peer said, as it sent it ----
  std::uint64_t sent_end = 0;           // inbound offset
  std::optional<std::uint64_t> fin_at;  // its stream ends at this offset
  bool peer_timestamps = false, peer_sack = false;
  std::optional<std::uint8_t> peer_scale;  // in force
  std::optional<std::uint8_t> syn_scale;   // as its SYN offered
  // The peer holds it to be alive: no reset may reach it.
  bool valid = true;
  bool peer_answered = false;  // a segment that acknowledges the node's SYN was delivered
  bool chosen = false;         // it has sent one: which of the node's SYN-ACKs counts is settled

  // ---- What reached the node, in this life of its ----
  bool syn_delivered = false;          // in any life
  bool answered_in_this_life = false;  // as peer_answered
  Coverage delivered;
  Coverage earlier;  // by a predecessor, a full disk, in pieces, beyond the window: taken perhaps, with what timestamp?
  struct AboveGap {
    std::uint64_t end = 0;
    std::uint64_t edge = 0;  // of the in-order stream when it came
  };
  std::map<std::uint64_t, AboveGap> above_gaps;  // by begin: ranges that first came out of order
  std::set<std::uint64_t> ends;                  // of delivered segments, in all lives: what an ACK may name
  struct Stamped {
    std::uint64_t begin = 0, end = 0;
    std::uint32_t ts = 0;
  };
  std::deque<Stamped> stamped;              // delivered segments above the ACK, with their TSval
  std::optional<std::uint32_t> highest_ts;  // TSval of all that was delivered, in any life
  bool fin_delivered = false;
  bool fin_was_acked = false;  // the node's FIN, by a segment that was delivered
  bool reset_delivered = false;
  bool reset_was_exact = false;  // at the node's RCV.NXT: nothing more may be said
  std::uint64_t peer_edge = 0;   // outbound offset up to which the peer lets us send
  bool peer_edge_known = false;
  std::optional<Time> last_fin_delivered;
  std::optional<Time> waiting_since;  // in-order bytes within the window, delivered and not acknowledged
  unsigned may_repeat_ack = 0;        // ACKs that say nothing new and are due all the same

  // ---- What the node said, in all its lives ----
  std::uint8_t ways = 3;     // that the node holds to
  bool synack_left = false;  // with its record stored
  struct Cookie {
    wire::SeqNum iss;
    std::optional<std::uint32_t> timestamp;  // TSval
    bool sack = false;
    std::optional<std::uint8_t> scale;
  };
  std::vector<Cookie> cookies;            // that answered its SYN
  bool by_cookie = false;                 // `iss` is that of one
  std::shared_ptr<const Packet> opener;   // the segment that brought it, where it was delivered
  bool outlived_its_node = false;         // it was there when the node died
  bool timestamps = false, sack = false;  // negotiated
  std::uint8_t scale = 0;                 // of the windows that the node sends
  std::uint64_t acked = 0;                // inbound offset; the FIN not counted
  std::optional<wire::SeqNum> acked_as;   // `iss` then: a late duplicate of its SYN may have opened another since
  bool fin_acked = false;
  std::uint64_t right_edge = 0;  // highest inbound offset ever advertised
  std::optional<std::uint16_t> last_window;
  std::optional<std::uint32_t> last_ts;
  std::uint64_t out_end = 0;  // outbound offset
  bool fin_sent = false;
  bool fin_sent_first = false;   // before the peer's FIN was delivered: the node will be in TIME-WAIT
  Coverage sacked;               // inbound ranges that the node reported, in this life
  bool aborted_by_node = false;  // as the script wants

  std::uint64_t in_offset(wire::SeqNum seq) const { return static_cast<std::uint32_t>(seq - (*irs + 1)); }
  std::uint64_t out_offset(wire::SeqNum seq) const { return static_cast<std::uint32_t>(seq - (*iss + 1)); }

  bool may_retreat = false;  // the window's right edge: the node started anew on a full log

  // What came above the ACK may be dropped, and wants to be sent again.
  void forget_unacknowledged() {
    waiting_since.reset();
    earlier.add(delivered);
    delivered.clear();
    delivered.add(0, acked);
  }

  // The node's process died: what it had only in memory is gone.
  void node_died() {
    forget_unacknowledged();
    answered_in_this_life = false;
    outlived_its_node = true;
    reset_was_exact = false;  // not stored: its replacement knows nothing of it
    stamped.clear();
    above_gaps.clear();
    sacked.clear();
    may_repeat_ack += 4;  // it speaks first, and perhaps again
    fin_delivered = fin_acked;
  }

  // Nothing in the network can tell that it ever was: refusing it is right.
  bool is_over(Time now, Duration msl) const {
    if (reset_delivered || aborted_by_node) return true;
    if (!fin_was_acked || !fin_acked) return false;
    return !fin_sent_first || !last_fin_delivered || now - *last_fin_delivered >= 2 * msl;
  }
};

}  // namespace holdfast::sim
