// The inside of a connection, shared by the files that implement it: segment_arrives.cc (RFC 9293 section 3.10.7.4),
// handshake.cc (SYN-SENT, SYN-RECEIVED, options), confirming.cc (the N-way handshake), acknowledgment.cc (its fifth
// step), data_arrives.cc (its seventh and eighth, and the notes), output.cc (what leaves), timeout.cc (deadlines),
// resume.cc.
//
// Calls from outside open a `Call`; when the outermost ends, what became sendable leaves, data before a bare ACK. The
// host may call back in from inside its own functions (release() from hold(), queue() from deliver(), …).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "tcp/challenge.h"
#include "tcp/connection.h"
#include "tcp/receive.h"
#include "tcp/send.h"
#include "tcp/state.h"
#include "tcp/timers.h"
#include "tcp/ways.h"

namespace holdfast::tcp {

struct Connection::Impl {
  Impl(Host& host, const Config& config, StreamId id, const wire::FourTuple& tuple, StreamOffset first_outbound);

  // ---- Set once ----
  Connection* self = nullptr;
  Host& host;
  Config config;
  StreamId id;
  wire::FourTuple tuple;
  bool active_open = false;
  std::uint32_t ts_offset = 0;
  bool timestamps = false, sack = false, window_scale = false;  // negotiated

  // ---- Changing ----
  State state = State::kClosed;
  bool record_stored = false;
  Receiver rcv;
  Sender snd;
  Timers timers;
  ChallengeLimit challenges;
  std::uint8_t syn_tries = 0;
  std::unique_ptr<Ways> ways;      // null: the ordinary handshake
  Time step_sent{};                // the latest step
  Time next_seldom{};              // answers to what may be very old: one a second
  bool step_lost = false;          // a step had to be sent again
  bool syn_waited_longer = false;  // for the answer to a SYN-ACK that was asked for
  Time syn_sent{};
  Time last_heard{};            // for keepalives
  std::uint8_t keepalives = 0;  // sent and not answered, in a row
  // Our TSval when this life began: earlier echoes say nothing about time.
  std::uint32_t oldest_ts_echo = 0;
  Time oldest_ts_at{};
  std::uint32_t soft_errors = 0;  // ICMP
  bool awaiting_answer = false;   // spoke first after resume(), the peer has not answered yet
  bool ack_at_once = false;       // after resume(): the peer has waited long enough
  bool spoken = true;             // after resume(): speak() was called
  bool ack_owed = false;          // a bare ACK leaves unless something else carries it
  bool ack_deferred = false;      // … but not before flush_acknowledgement()
  bool delivering = false;        // inside Host::deliver()
  bool answered_in_deliver = false;
  bool resumed = false;
  bool closing_down = false;  // finish() is on its way
  int depth = 0;
  Time now{};

  // A call from outside. The outermost one sends at its end.
  class Call {
   public:
    Call(Impl& impl, Time now) : impl_(impl) {
      if (impl_.depth++ == 0) impl_.now = std::max(impl_.now, now);
    }
    ~Call() {
      if (impl_.depth == 1) impl_.flush();
      --impl_.depth;
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    Impl& impl_;
  };

  bool closed() const { return state == State::kClosed; }
  void apply(Event event);          // figure 5
  void finish(CloseReason reason);  // to CLOSED
  void reset(CloseReason reason);   // with a RST to the peer

  // ---- handshake.cc ----
  void begin_send();  // congestion control and loss recovery, once the options are known
  void take_syn_options(const SegmentIn& syn);
  void syn_sent_arrives(const SegmentIn& segment);
  bool syn_received_repeats(const SegmentIn& segment);
  void established(const SegmentIn& segment);
  void transmit_syn();
  void syn_timeout();
  void sample_syn(const SegmentIn& segment);
  wire::TcpHeader syn_header();
  void ways_refused();
  void refuse_ack(const SegmentIn& segment);
  wire::TcpOptions syn_options() const;

  // ---- confirming.cc ----
  bool confirming() const;
  std::uint8_t copies() const;
  bool on_its_way() const;
  void follow(Ways::Do what);
  void stage_stored();
  void count_copies();
  void transmit_step();
  Duration step_interval() const;
  void step_timeout();
  void confirm_timeout();
  void begin_confirming(const SegmentIn& segment);
  bool confirming_arrives(const SegmentIn& segment, std::int64_t begin);
  void take_step(const SegmentIn& segment, bool answered_at_once);
  void hold_early(const SegmentIn& segment, std::int64_t begin);
  void proving_arrives(const SegmentIn& segment);
  void opened();
  void handshake_over();
  void repeat_syn_ack(const SegmentIn& syn);

  // ---- segment_arrives.cc ----
  void segment_arrives(const SegmentIn& segment);
  bool predicted(const SegmentIn& segment);
  bool acceptable(std::int64_t begin, std::int64_t end) const;
  bool old_ack_arrives(const SegmentIn& segment, std::int64_t end);  // false: nothing was learnt
  void unacceptable(const SegmentIn& segment, std::int64_t end);
  void reset_arrives(std::int64_t position);
  void challenge();
  bool may_be_replaced_by(const SegmentIn& syn) const;

  // ---- acknowledgment.cc ----
  bool ack_arrives(const SegmentIn& segment);  // false: drop the segment
  void take_window(const wire::TcpHeader& h);
  std::uint64_t take_sacks(const wire::TcpHeader& header, std::uint64_t flight, bool sampled);
  std::uint32_t samples_per_window(std::uint64_t flight) const;
  bool ack_in_range(std::int64_t position);
  Scoreboard::Acked advance_una(StreamOffset ack);
  void begin_life();
  std::optional<Duration> echoed_round_trip(const wire::TcpHeader& header) const;
  void take_rtt(const wire::TcpHeader& header, const Scoreboard::Acked& acked, std::uint64_t flight);
  void window_opened();

  // ---- data_arrives.cc ----
  void data_arrives(StreamOffset begin, Bytes payload, bool fin, bool pushed);
  void duplicate_arrives(StreamOffset begin, StreamOffset end);
  void in_order(Bytes payload, std::optional<wire::SackBlock> dsack, bool pushed);
  bool take_fin(StreamOffset at);
  void beyond_window();
  void no_room();
  void out_of_order(StreamOffset begin, Bytes payload);
  bool hand_on(Bytes payload, bool fin);
  void drain_reassembly();
  void fin_arrives();
  void note(std::optional<wire::SackBlock> dsack);
  void note_duplicate(std::optional<wire::SackBlock> dsack);
  void released(const AckNote& note);
  bool stale_duplicate(const AckNote& note, StreamOffset edge) const;
  void start_time_wait();
  std::uint32_t full_segment() const;  // largest payload that the peer's segments have

  // ---- output.cc ----
  void flush();
  bool challenge_is_due() const;
  bool may_transmit() const;
  bool carries_step() const;
  void send_data();
  bool about_to_send();
  bool retransmit_lost();
  void retransmit(StreamOffset begin, std::uint64_t length);
  bool send_new();
  std::uint64_t sendable_now(StreamOffset end, std::uint32_t mss);
  bool partial_may_leave(StreamOffset end, std::uint64_t n) const;
  bool fin_may_leave() const;
  void restart_if_idle();
  void send_ack() { emit_bare(snd.idle_position()); }
  void emit_bare(StreamOffset at);
  void emit(StreamOffset begin, StreamOffset end);
  wire::TcpHeader header(wire::SeqNum seq);
  void account();
  std::uint32_t effective_mss() const;  // payload of a full segment with the options of this moment
  std::uint64_t cwnd_room() const;

  // ---- timeout.cc ----
  void deadline_passed();
  void update_retransmit_timer(bool restart);
  void retransmit_timeout();
  void probe_timeout();
  bool give_up(std::uint32_t tries) const;
  void peer_is_gone();
  bool must_probe() const;
  Duration probe_interval() const;
  void keepalive_timeout();
  void arm_keepalive();
  void arm_delayed_ack();
  void delayed_ack_timeout();
  void segment_size_changed(std::uint16_t mss);

  // ---- resume.cc ----
  void restore(const Snapshot& snapshot);
  Snapshot snapshot() const;
  void speak();
};

}  // namespace holdfast::tcp
