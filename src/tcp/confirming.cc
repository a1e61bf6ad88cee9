// The N-way handshake in a connection: the segments that carry its steps, their timers, and what CONFIRMING lets in
// (docs/handshake.md). What is believed and what is due, ways.h decides.
//
// CONFIRMING is a sub-state of SYN-RECEIVED, for both sides. It ends in ESTABLISHED: for the sender of step N when that
// leaves, for its receiver when it has come and is stored.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "tcp/connection_impl.h"

namespace holdfast::tcp {
namespace {
constexpr Duration kLeastStepInterval = std::chrono::seconds(1);
// Taken for the round trip before one was measured: longer than a burst, shorter than any restart.
constexpr Duration kUnknownRoundTrip = std::chrono::milliseconds(10);
}  // namespace

std::optional<wire::WaysOption> ways_proposal(const wire::TcpHeader& syn) {
  const auto& option = syn.options.ways;
  return syn.flags.syn && !syn.flags.ack && option && is_proposal(*option) ? option : std::nullopt;
}

bool Connection::Impl::confirming() const { return ways && ways->confirming(); }

std::uint8_t Connection::Impl::copies() const { return host.copies(*self); }

void Connection::Impl::follow(Ways::Do what) {
  switch (what) {
    case Ways::Do::kNothing:
    case Ways::Do::kFallBack:  // its caller's concern
      return;
    case Ways::Do::kSend:
      return transmit_step();
    case Ways::Do::kSendSeldom:
      if (now < next_seldom) return;
      next_seldom = now + std::chrono::seconds(1);
      return transmit_step();
    case Ways::Do::kStore:
      timers.cancel(Timer::kRetransmit);
      record_stored = false;
      return host.store_record(*self);
    case Ways::Do::kAwaitCopies:
      timers.cancel(Timer::kRetransmit);
      timers.set(Timer::kConfirm, now + ways->config().roll_call_timeout);
      host.await_copies(*self);
      return count_copies();
    case Ways::Do::kEstablished:
      return handshake_over();
    case Ways::Do::kReset:
      return reset(ways->report().failure == WaysFailure::kStopped        ? CloseReason::kHandshakeStopped
                   : ways->report().failure == WaysFailure::kTooFewCopies ? CloseReason::kTooFewCopies
                                                                          : CloseReason::kHandshakeRefused);
  }
}

void Connection::Impl::count_copies() {
  const std::uint8_t have = copies();
  // There will never be more than the log has places for: these are waited for, as a step says what there is.
  const bool all = have >= host.most_copies() && have < ways->copies_wanted();
  follow(all ? ways->roll_call_over(have) : ways->copies(have));
}

// The record of this stage is stored, and for an active open the first note is back.
void Connection::Impl::stage_stored() {
  if (record_stored && rcv.synced) follow(ways->stored());
}

// A step for the first time, or again.
void Connection::Impl::transmit_step() {
  const std::uint8_t step = ways->due() != 0 ? ways->due() : ways->sent();
  if (step <= 2) return transmit_syn();
  if (ways->proving()) {  // every segment carries it
    ways->left(copies());
    step_sent = now;
    ack_owed = true;
    return;
  }
  SegmentOut segment;
  segment.header = header(snd.seq(snd.una));
  const std::uint8_t certified = segment.header.options.ways->copies;
  timers.cancel(Timer::kConfirm);
  ways->left(certified);
  account();
  step_sent = now;
  // A repetition that the peer asked for does not put off our own: who asks again and again would put off the limit.
  if (!ways->proving() && !timers.armed(Timer::kRetransmit)) timers.set(Timer::kRetransmit, now + step_interval());
  host.transmit(*self, segment);
  if (!ways->proving() || closed()) return;
  opened();
  timers.set(Timer::kConfirm, now + step_interval());
}

// An RTO of at least a second, and what the peer may take to count its copies.
Duration Connection::Impl::step_interval() const {
  Duration interval = std::max(kLeastStepInterval, snd.rtt.rto()) + config.ways.roll_call_timeout;
  for (std::uint8_t i = 1; i < ways->tries() && interval < config.max_rto; ++i) interval *= 2;
  return std::min(interval, std::max(config.max_rto, kLeastStepInterval + config.ways.roll_call_timeout));
}

void Connection::Impl::step_timeout() {
  if (ways->sent() <= 2) snd.rtt.back_off();
  step_lost = true;
  follow(ways->timeout(config.syn_retries));
}

// A roll call has lasted too long; or the receiver of step N has said nothing that proves it.
void Connection::Impl::confirm_timeout() {
  if (!ways->proving()) return follow(ways->roll_call_over(copies()));
  if (ways->timeout(config.syn_retries) == Ways::Do::kReset) return follow(Ways::Do::kReset);
  // Where data is in flight its retransmissions carry the step. The limit is this one all the same.
  if (snd.in_flight() == 0) {
    ways->left(copies());
    // Like a keepalive: outside the window, so that it draws an ACK.
    if (may_transmit()) emit_bare(StreamOffset{snd.idle_position().value - 1});
  }
  timers.set(Timer::kConfirm, now + step_interval());
}

// The answer that a duplicate asks for left less than a round trip ago: one more would be answered in its turn, and so
// on to the end of the handshake. (Where either side has died there may be no sample: Karn, and a resumed side takes
// none.)
bool Connection::Impl::on_its_way() const {
  const Duration measured = snd.rtt.smoothed();
  return now - step_sent < (measured > Duration::zero() ? measured : kUnknownRoundTrip);
}

// ---- Segments ----

// The SYN-ACK of step 2 settled on more than three ways: CONFIRMING begins. Nothing more leaves before the record that
// holds both ISNs and what is settled is stored.
void Connection::Impl::begin_confirming(const SegmentIn& segment) {
  sample_syn(segment);
  syn_tries = 0;
  record_stored = false;
  apply(Event::kSynArrives);
  if (!closed()) note(std::nullopt);
}

// In CONFIRMING, a segment that is acceptable but for its ACK. True: it goes on as with any connection.
bool Connection::Impl::confirming_arrives(const SegmentIn& segment, std::int64_t begin) {
  const wire::TcpHeader& h = segment.header;
  // Never answered with a reset: a stranger may have sent it.
  const std::int64_t position = to_position(snd.iss, h.ack, snd.una);
  const bool acks_us = position >= 0 && position <= static_cast<std::int64_t>(snd.limit.value);
  if (!acks_us || (ways->sent() == 0 && ways->due() <= 2)) return false;
  const std::uint8_t received = ways->received();
  const bool once = ways->sent_once();
  const Ways::Do what = ways->arrives(h.options.ways);
  if (what == Ways::Do::kFallBack) return true;
  if (ways->received() > received) {
    take_step(segment, once);
  } else if (what == Ways::Do::kSend && (on_its_way() || !challenges.take(now))) {
    return false;
  }
  // A probe of the sender of step N, or its data, wants an answer.
  const bool answer = ways->received() == ways->ways() && begin < 0;
  follow(what);
  if (closed()) return false;
  ack_owed |= answer;
  if (!confirming()) return true;
  if (!segment.payload.empty() || h.flags.fin) hold_early(segment, begin);
  return false;
}

void Connection::Impl::take_step(const SegmentIn& segment, bool answered_at_once) {
  const wire::TcpHeader& h = segment.header;
  last_heard = now;
  timers.cancel(Timer::kRetransmit);
  snd.syn_acked = true;
  if (timestamps && h.options.timestamps) {
    rcv.recent.update(h.options.timestamps->value, now);
    rcv.released_ts = rcv.recent.value();
  }
  // One that waited in vain for its copies tells of that, not of the path.
  if (answered_at_once && !resumed && !h.options.ways->is_short) snd.rtt.sample(now - step_sent);
  take_window(h);
}

// Rule 8: kept like data above a gap, and not acknowledged before step N; the peer believes that we have that.
void Connection::Impl::hold_early(const SegmentIn& segment, std::int64_t begin) {
  Bytes payload = segment.payload;
  if (begin < 0) {
    const auto before = static_cast<std::size_t>(-begin);
    if (before >= payload.size()) return;
    payload = payload.subspan(before);
    begin = 0;
  }
  const StreamOffset at{static_cast<std::uint64_t>(begin)};
  if (segment.header.flags.fin) take_fin(at + payload.size());
  const StreamOffset edge = std::max(rcv.window.edge(), rcv.next);
  payload = payload.first(std::min<std::size_t>(payload.size(), edge > at ? edge - at : 0));
  if (!payload.empty()) rcv.reassembly.insert(rcv.next, at, payload);
  if (ways->phase() == Ways::Phase::kWaiting && !on_its_way() && challenges.take(now)) transmit_step();
}

// ESTABLISHED, with step N sent: whatever only an established peer sends is the proof that it arrived.
void Connection::Impl::proving_arrives(const SegmentIn& segment) {
  const Ways::Do what = ways->arrives(segment.header.options.ways);
  if (!ways->proving()) {
    timers.cancel(Timer::kConfirm);
    return arm_keepalive();
  }
  if (what == Ways::Do::kSendSeldom || (!on_its_way() && challenges.take(now))) follow(what);
}

// ---- ESTABLISHED ----

void Connection::Impl::opened() {
  timers.cancel(Timer::kRetransmit);
  timers.cancel(Timer::kConfirm);
  snd.syn_acked = true;
  if (step_lost) snd.congestion->set_cwnd(effective_mss());  // RFC 5681 section 3.1
  syn_tries = 0;
  apply(Event::kSynAcked);
  arm_keepalive();
}

// Step N was received, and that is stored.
void Connection::Impl::handshake_over() {
  opened();
  if (closed()) return;
  const StreamOffset before = rcv.next;
  drain_reassembly();
  if (closed()) return;
  if (!rcv.fin && rcv.fin_at && *rcv.fin_at == rcv.next && !rcv.refused) rcv.refused = !hand_on({}, true);
  if (closed()) return;
  if (rcv.fin) return fin_arrives();
  if (rcv.next > before) note(std::nullopt);
}

// ---- Duplicates ----

// The SYN again, although step 3 has come: an old duplicate, or an initiator that forgot. It can understand nothing but
// a SYN-ACK.
void Connection::Impl::repeat_syn_ack(const SegmentIn& syn) {
  const auto proposal = ways_proposal(syn.header);
  if (!proposal || !record_stored || now < next_seldom) return;
  next_seldom = now + std::chrono::seconds(1);
  SegmentOut segment;
  segment.header = syn_header();
  segment.header.options.ways = ways->step_two(*proposal);
  segment.header.options.ways->copies = copies();
  host.transmit(*self, segment);
}

}  // namespace holdfast::tcp
