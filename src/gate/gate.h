// Rule 1: a frame leaves only when everything that it asserts is stored. The gate stands between TCP and the log: it
// turns stream bytes into records, keeps ACK notes, resets and announcements until the log has stored what they assert,
// and decides how large a window may be promised. Sans-I/O, one owner thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/units.h"
#include "gate/checkpoint_listing.h"
#include "gate/connection_record.h"
#include "gate/entry.h"
#include "gate/held_frames.h"
#include "gate/node_clock.h"
#include "gate/recovery.h"
#include "gate/release_queue.h"
#include "gate/service.h"
#include "gate/timer_heap.h"
#include "log/log.h"
#include "tcp/connection.h"

namespace holdfast::gate {

// What carries segments and frames away once the gate lets them go.
class Output {
 public:
  virtual ~Output() = default;
  virtual void send_segment(const wire::FourTuple& tuple, const tcp::SegmentOut& segment) = 0;
  virtual void send_frame(Bytes frame) = 0;
  virtual void cleared() {}
  // Whether a segment to this peer would leave at once; where not, that is being seen to.
  virtual bool settled(const wire::FourTuple&, Time) { return true; }
  // ICMP host unreachable about the peer's segment with this sequence number (RFC 6069).
  virtual void send_unreachable(const wire::FourTuple&, wire::SeqNum) {}
  // Still no connection for this 4-tuple? Asked when a refusal is about to leave.
  virtual bool is_unknown(const wire::FourTuple& tuple) const = 0;
  virtual void state_changed(Entry& entry, tcp::State from, tcp::State to) = 0;
  // The connection is over: its 4-tuple names nothing any more. The entry lives on until nothing waits for it.
  virtual void forget(Entry& entry) = 0;
};

struct Options {
  Secret nonce_secret;  // of a gate without a log; else the log has it
  std::uint32_t max_receive_window = 8U << 20;
  std::uint32_t initial_receive_window = 64U << 10;
  Duration stall_after = std::chrono::seconds(2);
  // A resumed connection tells its peer that the segment at the stored edge has not arrived, so that a peer that backs
  // off retransmits now (RFC 6069).
  bool nudge = false;
};

struct GateCounters {
  std::uint64_t notes_folded = 0;
  std::uint64_t frames_dropped = 0;  // too many were waiting
  std::uint64_t undeliverable = 0;   // data for which the log had no room after all
  std::uint64_t bytes_stored = 0;
  std::uint32_t widest_window = 0;  // that was promised
};

class Gate final : public tcp::Host, public log::CheckpointSource {
 public:
  // `log` is null for a volatile node: everything is stored as soon as it is in memory. `output` and `observer` outlive
  // the gate.
  Gate(const Options& options, std::unique_ptr<log::Log> log, Output& output, Observer& observer,
       std::uint64_t wall_clock, Time now);
  ~Gate() override;

  // ---- Connections ----
  StreamId next_id();
  // Takes a connection just accepted or dialled; its record is appended, and on_record_stored() follows. Null where the
  // log has no room for the record: the connection was destroyed, nothing left.
  Entry* add(std::unique_ptr<tcp::Connection> connection, ServiceKind service, ClientHandler* handler, Time now);
  // A recovered connection whose record is stored already. Reserves what the old owner promised, as far as there is
  // room. Outbound bytes are read back from the log; an error names what could not be read.
  Result<Entry*> resume(StreamId id, RecoveredConnection& recovered, tcp::Config config, Time now);
  // A recovered connection that is not resumed: it cannot be read back, or is of an address that this node does not
  // have. It stays in the log, over checkpoints too; nothing is said for it.
  void set_aside(StreamId id, RecoveredConnection connection);
  // One that was set aside has ended. Where the log has no room to say so that is said later, before anything else
  // ends.
  void end_aside(StreamId id, tcp::CloseReason reason);
  // The handler of a client connection that was resumed, once. Its inbound bytes are handed over from the returned
  // offset on; what lies below is in the log.
  StreamOffset attach(Entry& entry, ClientHandler& handler);
  // Every resumed connection speaks, as soon as its peer can be reached: to be called once, when the epoch's start is
  // stored. Until then a gate with a log is silent.
  void speak_all(Time now);
  // Before anything that a peer says is heard: its connection speaks, unless it has.
  void speak_first(Entry& entry, Time now);
  bool silent() const { return silent_; }
  // A connection in TIME-WAIT gives way to a new one of the same 4-tuple (RFC 6191).
  void retire(Entry& entry);
  Entry* find(StreamId id);
  std::map<StreamId, std::unique_ptr<Entry>>& entries() { return entries_; }

  // After any call into an entry's connection: its deadline may have changed.
  void reschedule(Entry& entry);

  // ---- Service side of active connections ----
  // Outbound bytes (at most send_room()), with or without the end of the stream: one atomic record together with
  // "input consumed up to" `consumed`.
  bool commit(Entry& entry, StreamOffset consumed, Bytes output, bool fin, Time now);

  // ---- Frames that assert something about us ----
  // Leaves after a log write begun after this call is stored.
  void hold_frame(Bytes frame);
  // Output::cleared() follows then.
  void hold_clearance();
  void hold_refusal(const wire::FourTuple& tuple, const wire::TcpHeader& header);

  // ---- The turn ----
  // Lets the log work, releases what is stored, runs timers.
  void pump(Time now);
  // What nobody waits for is written too, at the next pump.
  void flush() { flush_wanted_ = true; }
  Time deadline() const;
  bool idle() const;  // nothing waits for the log
  bool stalled() const { return stalled_; }

  log::Log* log() { return log_.get(); }
  const NodeClock& clock() const { return clock_; }
  Time now() const { return now_; }
  void set_now(Time now);
  const GateCounters& counters() const { return counters_; }

  // ---- tcp::Host ----
  bool deliver(tcp::Connection& connection, StreamOffset at, Bytes payload, bool fin) override;
  void hold(tcp::Connection& connection, const tcp::AckNote& note) override;
  void transmit(tcp::Connection& connection, const tcp::SegmentOut& segment) override;
  void transmit_reset(tcp::Connection& connection, std::span<const tcp::SegmentOut> segments,
                      tcp::CloseReason reason) override;
  tcp::ReceiveAllowance receive_allowance(const tcp::Connection& connection) override;
  void acknowledged(tcp::Connection& connection, StreamOffset una, bool fin) override;
  void state_changed(tcp::Connection& connection, tcp::State from, tcp::State to) override;
  void finished(tcp::Connection& connection, tcp::CloseReason reason) override;
  std::uint32_t timestamp_clock() override;
  std::optional<std::uint32_t> clock_stood_at() override;
  const Secret& nonce_secret() const override;
  bool stores() const override { return log_ != nullptr; }
  std::uint8_t copies(const tcp::Connection& connection) const override;
  std::uint8_t most_copies() const override;
  void store_record(tcp::Connection& connection) override;
  void await_copies(tcp::Connection& connection) override;

  // ---- log::CheckpointSource ----
  void checkpoint_begin() override;
  bool checkpoint_step(std::size_t budget) override;
  bool write_anew(SegmentNumber before, std::size_t budget) override;
  SegmentNumber first_needed(SegmentNumber before) override;

 private:
  static Entry& entry_of(const tcp::Connection& connection) { return *static_cast<Entry*>(connection.user); }

  void note_stored_edges(Entry& entry, Lsn lsn);
  Lsn append_record(Entry& entry);
  Lsn append_record(Entry& entry, const ExtentRange& outbound);
  bool append_anew(StreamId id, log::Extent& extent);
  bool await_record(Entry& entry);
  Lsn append_close(Entry& entry, tcp::CloseReason reason);
  Lsn append_close(StreamId id, tcp::CloseReason reason);
  bool append_fin(Entry& entry);
  void remember_outbound(Entry& entry);
  void hold_until(Lsn lsn, HeldFrame frame);
  void push(Item item);
  void touch(Entry& entry);

  void release_stored();
  void release(const Item& item);
  void release_folded(Lsn upto);
  void acknowledge_raw_edge(Entry& entry);
  void end_turn();
  void end_turn_of(Entry& entry);
  void let_out(Entry& entry);
  void hand_to_client(Entry& entry);
  void run_timers();
  bool waiting_for_storage() const { return !queue_.empty() || refused_; }
  void watch_for_stall(bool moved);
  void look_for_room();
  void append_owed_closes();
  void starve(Entry& entry);
  void feed_starved();
  void speak_to_the_settled(Time now);
  void nudge(Entry& entry);
  Result<void> read_outbound(Entry& entry, const tcp::Snapshot& snapshot);
  void remove_finished();
  Lsn durable() const;
  bool must_flush() const;
  void grow_window(Entry& entry);
  std::uint32_t first_window(unsigned window_shift) const;
  void reserve_window(Entry& entry, StreamOffset end);
  void promise_more(Entry& entry);
  bool tell_promise(Entry& entry);
  void tell_owed_promises();
  void call_rolls();
  void forget_wishes(Entry& entry);
  std::uint64_t wall_time() const;
  void all_allowances_changed();

  Options options_;
  std::unique_ptr<log::Log> log_;
  Output& output_;
  Observer& observer_;
  NodeClock clock_;
  Time now_;

  std::map<StreamId, std::unique_ptr<Entry>> entries_;
  ReleaseQueue queue_;
  std::size_t notes_ = 0;
  HeldFrames frames_;
  TimerHeap timers_;
  std::vector<Entry*> touched_, turn_;
  std::vector<Entry*> folded_;
  std::vector<std::byte> kept_;  // a payload, while the log may move the original
  std::vector<Entry*> starved_, owed_;
  std::vector<Entry*> roll_calls_;  // their connections wait for copies of their records
  std::vector<Entry*> unspoken_;    // resumed, their peers not reachable yet
  std::vector<StreamId> finished_;
  std::uint64_t wall_clock_;
  Time started_;
  std::uint64_t volatile_id_ = 0;

  SegmentNumber anew_before_;
  StreamId anew_cursor_;
  Time next_wall_clock_{};  // when the log is told again
  StreamId checkpoint_cursor_, checkpoint_limit_, aside_cursor_;
  Listing listing_;  // of the one that is being written
  std::map<StreamId, RecoveredConnection> aside_;
  // Ended, and there was no room to say so: of these, and of those that were in entries_. At most one each.
  std::vector<std::pair<StreamId, tcp::CloseReason>> owed_closes_;
  bool silent_;
  bool stalled_ = false;
  bool refused_ = false;  // the log had no room for the last bytes that arrived
  Time last_progress_;
  Time space_retry_ = kNever;  // a full log is asked to look for room again
  Time lazy_flush_ = kNever;   // when to write what nobody waits for
  bool flush_wanted_ = false;  // that time has come; a write in flight may still be in the way
  GateCounters counters_;
};

}  // namespace holdfast::gate
