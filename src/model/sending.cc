// What Ways wants done, and what leaves (tcp/confirming.cc, transmit_syn() of tcp/handshake.cc, tcp/output.cc).
#include "base/assert.h"
#include "model/event.h"

namespace holdfast::model {

using tcp::CloseReason;
using tcp::State;
using tcp::Ways;

void Event::follow(Ways::Do what) {
  switch (what) {
    case Ways::Do::kNothing:
    case Ways::Do::kFallBack:  // its caller's concern
      return;
    case Ways::Do::kSend:
      return transmit_step();
    case Ways::Do::kSendSeldom:
      if (!pace_.seldom) return;
      was_seldom_ = true;
      return transmit_step();
    case Ways::Do::kStore:
      return write(true);
    case Ways::Do::kAwaitCopies:
      return follow(s_.ways->copies(copies()));
    case Ways::Do::kEstablished:
      return handshake_over();
    case Ways::Do::kReset:
      switch (s_.ways->report().failure) {
        case tcp::WaysFailure::kStopped:
          return reset(CloseReason::kHandshakeStopped);
        case tcp::WaysFailure::kTooFewCopies:
          return reset(CloseReason::kTooFewCopies);
        default:
          return reset(CloseReason::kHandshakeRefused);
      }
  }
}

// A step for the first time, or again.
void Event::transmit_step() {
  const std::uint8_t step = s_.ways->due() != 0 ? s_.ways->due() : s_.ways->sent();
  if (step <= 2) return transmit_syn();
  if (s_.ways->proving()) {  // every segment carries it
    s_.ways->left(copies());
    s_.ack_owed = true;
    return;
  }
  emit(false);
  s_.ways->left(copies());
  if (!s_.ways->proving()) return;
  opened();
  write(false);
}

void Event::transmit_syn() {
  if (!s_.record_stored || (s_.state == State::kSynReceived && !s_.synced)) return;
  HF_ASSERT(s_.state == State::kSynSent || s_.state == State::kSynReceived);
  Message m;
  m.syn = true;
  m.ack = s_.state == State::kSynReceived;
  const bool ordinary = !s_.ways || (m.ack && (s_.ways->is_initiator() || s_.ways->fell_back()));
  if (!ordinary) {
    m.option = s_.ways->option(copies());
    s_.ways->left(m.option->copies);
  }
  if (s_.syn_tries <= config_.retries) ++s_.syn_tries;
  s_.ack_owed = false;
  send(m);
}

// A segment without SYN.
void Event::emit(bool probe, bool data) {
  Message m;
  m.ack = true;
  m.probe = probe;
  m.data = data;
  const bool carries_step = s_.ways && (s_.ways->proving() || s_.ways->due() > 2 || confirming());
  if (carries_step) m.option = s_.ways->option(copies());
  s_.ack_owed = false;
  if (s_.ways && s_.ways->phase() == Ways::Phase::kPlain && s_.ways->due() > 2) s_.ways->left(copies());
  send(m);
}

// What was owed when the event began, or has been since.
void Event::flush() {
  if (!s_.ack_owed || !s_.record_stored || !s_.synced) return;
  const bool step_is_due = confirming() && s_.ways->phase() != Ways::Phase::kWaiting;
  const bool challenge_is_due = s_.state == State::kSynReceived && s_.syn_tries > 0 && !step_is_due;
  if (s_.established() || challenge_is_due) emit(false);
}

void Event::send(Message m) {
  m.from_initiator = config_.initiator;
  if (!m.rst) {
    m.seq = s_.iss;
    if (m.ack) m.acked = s_.irs;
    if (m.syn) m.offer = offer_of(s_.iss);
    if (m.option) m.existed = copies();
    if (config_.stores && !is_stored(m)) broke(Property::kStored);
  }
  sent_.push_back(m);
}

// Rule 10, seen from the disk.
bool Event::is_stored(const Message& m) const {
  const Record& r = s_.disk;
  if (!r.live || r.iss != s_.iss || (m.ack && r.irs != s_.irs)) return false;
  if (m.syn) return true;
  if (m.option && m.option->step < m.option->ways) return r.ways.ways == m.option->ways || r.ways.ways == 0;
  const bool long_way = m.option ? m.option->ways > wire::kMinWays : s_.settled > wire::kMinWays;
  return !long_way || r.state == State::kEstablished;
}

// The log's answer to how many there are of the record that was last waited for.
std::uint8_t Event::copies() const { return config_.stores && s_.record_stored ? s_.copies : std::uint8_t{0}; }

// ---- Time ----

bool Event::timer_runs(const Side& s) {
  if (s.state == State::kSynSent || s.state == State::kSynReceived) {
    return s.ways && s.ways->confirming() ? s.ways->phase() == Ways::Phase::kWaiting : s.syn_tries > 0;
  }
  return s.proving();
}

void Event::timeout() {
  HF_ASSERT(timer_runs(s_));
  if (confirming()) return follow(s_.ways->timeout(config_.retries));
  if (s_.proving()) {
    if (s_.ways->timeout(config_.retries) == Ways::Do::kReset) return follow(Ways::Do::kReset);
    s_.ways->left(copies());
    return emit(true);
  }
  if (s_.syn_tries > config_.retries) return finish(CloseReason::kTimeout, false);
  transmit_syn();
}

}  // namespace holdfast::model
