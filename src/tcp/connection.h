// One TCP connection: RFC 9293 section 3.10, with the parts in files of their own. Sans-I/O: segments, deadlines and
// what the gate says come in; segments and deadlines go out. No clock, no randomness, no lock, no allocation on the
// packet path.
//
// "Released" and "stored" (the gate's words; ARCHITECTURE.md, "The gate"):
// - Inbound: rcv_nxt is the edge of what arrived in order. Each event that wants an ACK becomes an AckNote given to
// Host::hold(); the
//   host brings it back through release(), unchanged and in order, once the inbound stream is stored up to its ACK.
//   Only then does the connection acknowledge. Every segment that leaves carries the last released pair (ACK, TSecr).
// - Outbound: bytes given to queue() leave only up to what on_outbound_stored() says.
//
// Threads: one owner thread. Calls into Host happen inside the call that caused them; the host may not destroy the
// connection from inside them (finished() marks it; the owner removes it afterwards).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/units.h"
#include "tcp/config.h"
#include "tcp/ways.h"
#include "wire/address.h"
#include "wire/tcp.h"

namespace holdfast::tcp {

enum class State : std::uint8_t {
  // LISTEN belongs to the listener (listener.h): a connection starts with its first SYN.
  kSynSent = 1,
  kSynReceived = 2,
  kEstablished = 3,
  kFinWait1 = 4,
  kFinWait2 = 5,
  kCloseWait = 6,
  kClosing = 7,
  kLastAck = 8,
  kTimeWait = 9,
  kClosed = 10,
};
std::string_view to_string(State state);  // "ESTABLISHED", "FIN-WAIT-1", …

enum class CloseReason : std::uint8_t {
  kNormal = 0,     // both directions ended and acknowledged
  kPeerReset = 1,  // an acceptable RST
  kTimeout = 2,    // retransmissions, SYN retries or keepalive probes ran out
  kAborted = 3,    // we reset it
  kRefused = 4,    // RST in answer to our SYN
  // N-way handshakes; Connection::handshake() has the numbers.
  kHandshakeRefused = 5,  // no agreement on how many ways
  kTooFewCopies = 6,      // the peer certified fewer copies than asked for, and our policy is strict
  kHandshakeStopped = 7,  // the peer did not answer a step
  // How it ended was not stored, for want of room; that it had, a newer connection of the same 4-tuple shows.
  kOvertaken = 8,
};
inline constexpr CloseReason kLastCloseReason = CloseReason::kOvertaken;

class Connection;

// (ACK, TSecr) as they were when something wanted to be acknowledged.
struct AckNote {
  wire::SeqNum ack;
  StreamOffset in_end;                   // the same edge as a stream offset (data bytes; our peer's FIN not counted)
  std::uint32_t ts_ecr = 0;              // TS.Recent then
  std::optional<wire::SackBlock> dsack;  // a duplicate to report, once the ACK covers it (RFC 2883)
  bool covers_fin = false;
};

// What a segment that leaves asserts, for the host to check rule 1 against (each is true already by construction).
struct SegmentOut {
  wire::TcpHeader header;          // complete but for checksum
  std::array<Bytes, 2> payload{};  // in the send buffer; valid during the call
  std::uint16_t gso_size = 0;      // 0, or cut the payload into segments of this size
  std::size_t payload_size() const { return payload[0].size() + payload[1].size(); }
};

// How much may be advertised.
struct ReceiveAllowance {
  StreamOffset edge;  // highest inbound stream offset for which room is reserved
  // Storage stands still: advertise 0 on purpose, although that shrinks the window, and answer every retransmission and
  // probe at once with the released pair. The one deliberate deviation from SHLD-14.
  bool stalled = false;
};

class Host {
 public:
  virtual ~Host() = default;

  // In-order inbound bytes, the first at `at`; `fin` when the peer's stream ends behind them. false: there is no room
  // after all; the connection forgets that they came. Called at most once for each byte (not again after it returned
  // true).
  virtual bool deliver(Connection& connection, StreamOffset at, Bytes payload, bool fin) = 0;
  // Keep the note until the inbound stream is stored up to it, then call Connection::release(note). May do so before it
  // returns.
  virtual void hold(Connection& connection, const AckNote& note) = 0;
  // Leaves now.
  virtual void transmit(Connection& connection, const SegmentOut& segment) = 0;
  // Resets of this connection, at each place where the peer may be: they leave after the close record, with this
  // reason, is stored. finished() follows in the same call.
  virtual void transmit_reset(Connection& connection, std::span<const SegmentOut> segments, CloseReason reason) = 0;
  virtual ReceiveAllowance receive_allowance(const Connection& connection) = 0;
  // The peer acknowledged our stream up to `una`; `fin`: our FIN too. Room in the send buffer may have grown.
  virtual void acknowledged(Connection& connection, StreamOffset una, bool fin) = 0;
  virtual void state_changed(Connection& connection, State from, State to) = 0;
  // state() is kClosed now; nothing more will be called for it.
  virtual void finished(Connection& connection, CloseReason reason) = 0;

  // ---- The N-way handshake (ways.h) ----
  // Nonces are derived from it: shared by all owners of the log.
  virtual const Secret& nonce_secret() const = 0;
  // False for a host that stores nothing: it certifies nothing.
  virtual bool stores() const = 0;
  // How many locations hold the newest record of this connection that was waited for, now; at most 255.
  virtual std::uint8_t copies(const Connection& connection) const = 0;
  // How many there can ever be.
  virtual std::uint8_t most_copies() const = 0;
  // The record is to be stored anew, as snapshot() has it now; Connection::on_record_stored() follows, in a later call.
  virtual void store_record(Connection& connection) = 0;
  // Call Connection::on_copies() when there are more, until the connection waits no longer (awaits_copies()).
  virtual void await_copies(Connection& connection) = 0;

  // TSval clock in milliseconds, never above the stored ceiling, never going back; without the connection's own offset.
  virtual std::uint32_t timestamp_clock() = 0;
  // Where that clock stood still last, if it has: what it showed until then says nothing about time.
  virtual std::optional<std::uint32_t> clock_stood_at() = 0;
};

// Everything that a replacement needs to go on. Stored by the gate (gate/connection_record.h).
struct Snapshot {
  wire::FourTuple tuple;
  State state = State::kClosed;
  bool active_open = false;
  wire::SeqNum iss, irs;
  std::uint16_t send_mss = 536;      // the peer's MSS option, or 536 (RFC 9293 MUST-15), lowered by path MTU
  std::uint16_t receive_mss = 1460;  // what we announced
  bool timestamps = false, sack = false, window_scale = false;
  std::uint8_t send_scale = 0;     // shift of the windows that we receive
  std::uint8_t receive_scale = 0;  // shift of the windows that we send
  std::uint32_t ts_offset = 0;     // added to the clock for our TSval
  std::uint32_t ts_recent = 0;
  StreamOffset snd_una;       // may lag
  bool fin_acked = false;     // our FIN is acknowledged; may lag
  std::uint32_t snd_wnd = 0;  // bytes, scaled; may lag
  StreamOffset rcv_end;       // inbound stream stored up to here
  bool rcv_fin = false;       // and it ends there
  StreamOffset snd_end;       // outbound stream stored up to here
  bool snd_fin = false;       // and it ends there
  StreamOffset edge;          // highest inbound edge that may have been advertised
  WaysRecord ways;            // of an N-way handshake that is not over, or may not be for the peer
  // Up to here a replacement has room; not recorded. Below `edge` where a full log has less than was promised.
  StreamOffset room_end{~std::uint64_t{0}};
  Duration msl{};
};

struct SegmentIn {
  wire::TcpHeader header;
  Bytes payload;
};

// The N > 3 ways that a SYN proposes (docs/handshake.md, "Rules" 1 and 2); nothing where it is an ordinary one.
std::optional<wire::WaysOption> ways_proposal(const wire::TcpHeader& syn);

class Connection {
 public:
  // Passive open, by an acceptable SYN for a listener. Nothing leaves before on_record_stored().
  static std::unique_ptr<Connection> accept(Host& host, const Config& config, StreamId id, const wire::FourTuple& tuple,
                                            const SegmentIn& syn, wire::SeqNum iss, std::uint32_t ts_offset, Time now);
  // Passive open by `segment`, the ACK of a SYN cookie (cookie.h), which is given to on_segment() next; `syn` and `iss`
  // are what the cookie has kept. ESTABLISHED at once, for its peer is: nothing is half-open here, and no SYN-ACK is
  // sent. Nothing at all leaves before on_record_stored(), and then the window update that the peer waits for. With
  // step 3 of more than three ways (one that Ways::by_cookie() takes) CONFIRMING, and then step 4.
  static std::unique_ptr<Connection> accept_cookie(Host& host, const Config& config, StreamId id,
                                                   const wire::FourTuple& tuple, const wire::TcpHeader& syn,
                                                   wire::SeqNum iss, const SegmentIn& segment, std::uint32_t ts_offset,
                                                   Time now);
  // Active open. Nothing leaves before on_record_stored().
  static std::unique_ptr<Connection> connect(Host& host, const Config& config, StreamId id,
                                             const wire::FourTuple& tuple, wire::SeqNum iss, std::uint32_t ts_offset,
                                             Time now);
  // A replacement for a connection whose node died. Call queue() with the unacknowledged outbound bytes
  // [snapshot.snd_una, snapshot.snd_end) and on_outbound_stored(), then speak().
  static std::unique_ptr<Connection> resume(Host& host, const Config& config, StreamId id, const Snapshot& snapshot,
                                            Time now);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // ---- From the network and the clock ----
  // A segment for this connection's 4-tuple, checksum verified.
  void on_segment(const SegmentIn& segment, Time now);
  // When to call on_deadline() at the latest; kNever where nothing is pending. May change in any call.
  Time deadline() const;
  void on_deadline(Time now);
  // ICMP destination unreachable / fragmentation needed that quotes this connection; `next_hop_mtu` 0 where none was
  // given. Soft errors are remembered, never fatal once synchronized (RFC 5927, RFC 9293 MUST-56, SHLD-26).
  void on_icmp_error(wire::SeqNum quoted_seq, bool fragmentation_needed, std::uint16_t next_hop_mtu, Time now);

  // ---- From the gate ----
  // The connection record is stored: SYN-ACK or SYN may leave; after accept_cookie() whatever may. An active open asks
  // for it twice: when it has learnt the peer's initial sequence number (state_changed() from SYN-SENT), nothing more
  // leaves before the record that holds it is stored.
  void on_record_stored(Time now);
  // A note comes back: acknowledge it. With `more`, outbound bytes may become free to leave in this same turn: the pair
  // is released, but a pure ACK waits for flush_acknowledgement(), so that data can carry it. The first note of an
  // active open acknowledges the peer's SYN (in_end 0, no data): it may come back once the snapshot() after the state
  // change that preceded it is stored; nothing but SYNs leaves before.
  void release(const AckNote& note, Time now, bool more = false);
  // There may be more copies of the record than before.
  void on_copies(Time now);
  // End of the turn: emit the pure ACK that release(…, more = true) left, unless a segment has carried its pair since.
  void flush_acknowledgement(Time now);
  // The outbound stream is stored up to `end` (and ends there, if `fin`): transmission may go on.
  void on_outbound_stored(StreamOffset end, bool fin, Time now);
  // The allowance may have grown, or storage stands still or moves again: send a window update where that is worth one.
  void on_allowance_changed(Time now);
  // After resume(): speak first (ARCHITECTURE.md, "Recovery").
  void speak(Time now);

  // ---- From the service ----
  // Room in the send buffer, bytes.
  std::size_t send_room() const;
  // Adds to the outbound stream (copied); at most send_room() bytes. They leave once on_outbound_stored() covers them.
  // Called from inside Host::deliver(), it also makes that segment's ACK a note at once instead of a delayed one: the
  // answer will carry it (a request-response peer with Nagle on would otherwise wait for the delayed-ACK timer).
  void queue(Bytes bytes);
  // No more outbound bytes: a FIN follows what was queued, once stored.
  void queue_fin();
  // ABORT: transmit_reset() and finished(kAborted).
  void abort(Time now);

  // ---- State ----
  StreamId id() const;
  bool awaits_copies() const;
  // Nothing for an ordinary handshake that nobody proposed otherwise.
  std::optional<WaysReport> handshake() const;
  const wire::FourTuple& tuple() const;
  State state() const;
  Snapshot snapshot() const;
  // Inbound edges as stream offsets: what arrived in order; what was last acknowledged to the peer; highest ever
  // advertised.
  StreamOffset received() const;
  StreamOffset released() const;
  // The sequence number behind what is acknowledged: the peer's oldest segment that is not has it.
  wire::SeqNum awaited() const;
  StreamOffset advertised() const;
  // Outbound edges: acknowledged; end of what was queued.
  StreamOffset acknowledged() const;
  StreamOffset queued() const;
  // False after resume() until the peer has told us where it is: a reset of ours might miss it.
  bool answered() const;
  unsigned receive_window_shift() const;             // 0..14 (RFC 7323 section 2)
  std::uint32_t receive_window_scale_limit() const;  // 65535 << our shift: no larger window can be expressed
  Duration smoothed_rtt() const;                     // 0 before the first sample
  Duration retransmission_timeout() const;           // RFC 6298's RTO, back-off included
  // Where the peer's urgent data ends: the first byte that is not urgent (RFC 9293 MUST-62); nothing where it sent
  // none. Urgent bytes are delivered in line.
  std::optional<StreamOffset> urgent_end() const;
  std::uint32_t soft_errors() const;  // ICMP errors that quoted this connection
  // In TIME-WAIT: this SYN may open a new incarnation at once (RFC 9293 MAY-2, RFC 6191). The owner then drops this
  // connection (which is not told) and asks the listener.
  bool may_be_replaced_by(const SegmentIn& syn) const;

  void* user = nullptr;  // the host's own

  struct Impl;

 private:
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::tcp
