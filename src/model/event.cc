// The user, storage, crash and restart; beginnings and ends of a connection (tcp/connection.cc, tcp/resume.cc, gate/).
#include "model/event.h"

#include "base/assert.h"

namespace holdfast::model {

using tcp::CloseReason;
using tcp::State;
using tcp::Ways;

Event::Event(const SideConfig& config, const Side& before, Pace pace) : config_(config), pace_(pace), s_(before) {}

const Side& Event::end() {
  flush();
  if (s_.ways) s_.ways = s_.ways->without_counts();
  return s_;
}

// ---- The user ----

bool Event::may_open(const SideConfig& config, const Side& side) {
  return config.initiator && side.closed() && side.incarnations < config.incarnations;
}

void Event::open() {
  s_.state = State::kSynSent;
  s_.iss = isn_of(true, s_.incarnations++);
  s_.number = s_.incarnations;
  if (config_.ways.max > wire::kMinWays) {
    s_.ways = Ways::propose(config_.ways, nonce_source(true, s_.life, s_.iss, 0, s_.number), config_.stores);
  }
  write(true);
}

void Event::abort() { reset(CloseReason::kAborted); }

void Event::speak() {
  HF_ASSERT(s_.established());
  if (s_.record_stored && s_.synced) emit(false, true);
}

// ---- Storage ----

// The record as it is now; the connection goes on when it is stored, or need not wait for it.
void Event::write(bool awaited) {
  if (awaited) s_.record_stored = false;
  push({snapshot(), awaited, false});
}

void Event::push(const Write& write) {
  if (!config_.stores && !write.awaited && !write.reset) return;  // nothing comes of it
  HF_ASSERT(s_.writing < kMaxWrites);
  s_.writes[s_.writing++] = write;
}

Record Event::snapshot() const {
  Record r;
  r.live = true;
  r.state = s_.ways && s_.ways->establishes() ? State::kEstablished : s_.state;
  if (s_.ways && (s_.ways->confirming() || s_.ways->proving() || s_.state == State::kSynSent)) {
    r.ways = s_.ways->record();
  }
  r.iss = s_.iss;
  r.irs = s_.irs;
  r.peer_offer = s_.peer_offer;
  r.number = s_.number;
  r.settled = s_.ways ? s_.ways->ways() : s_.settled;
  return r;
}

void Event::checkpoint() { write(false); }

void Event::write_completes() {
  HF_ASSERT(s_.writing > 0);
  const Write done = s_.writes[0];
  for (std::uint8_t i = 1; i < s_.writing; ++i) s_.writes[i - 1U] = s_.writes[i];
  s_.writes[--s_.writing] = {};
  if (config_.stores) s_.disk = done.record;
  if (done.reset) {
    Message rst;
    rst.rst = rst.ack = true;
    rst.seq = done.record.iss;
    rst.acked = done.record.irs;
    send(rst);
  }
  if (!done.awaited || s_.closed() || done.record.iss != s_.iss) return;
  s_.record_stored = true;
  s_.synced = s_.state != State::kSynSent;
  s_.copies = 1;
  if (s_.ways && s_.ways->phase() == Ways::Phase::kStoring) return follow(s_.ways->stored());
  if (s_.state == State::kSynSent || s_.state == State::kSynReceived) return transmit_syn();
  s_.ack_owed = true;  // of an ordinary handshake's SYN-ACK
}

// ---- Copies ----

void Event::copies_arrive() {
  s_.copies = tcp::copies_asked(s_.ways->due());
  follow(s_.ways->copies(copies()));
}

// All but one have come.
void Event::roll_call_over() {
  s_.copies = static_cast<std::uint8_t>(tcp::copies_asked(s_.ways->due()) - 1);
  follow(s_.ways->roll_call_over(copies()));
}

// ---- Crash and restart ----

void Event::crash(std::uint8_t landed) {
  HF_ASSERT(landed <= s_.writing);
  Side next = s_.without_connection();
  next.used = {};
  if (config_.stores) {
    next.disk = landed > 0 ? s_.writes[landed - 1U].record : s_.disk;
  } else {
    ++next.life;
  }
  s_ = next;
  if (s_.disk.live) restore();
}

namespace {

bool may_confirm(const Record& r) { return r.ways.ways > wire::kMinWays && r.ways.received != r.ways.ways; }

State resumed_state(const Record& r, bool active_open) {
  if (r.state == State::kSynSent || r.state == State::kSynReceived) return r.state;
  if (may_confirm(r)) return active_open && r.ways.received == 0 ? State::kSynSent : State::kSynReceived;
  return State::kEstablished;
}

}  // namespace

void Event::restore() {
  const Record& r = s_.disk;
  s_.state = resumed_state(r, config_.initiator);
  s_.iss = r.iss;
  s_.irs = r.irs;
  s_.peer_offer = r.peer_offer;
  s_.number = r.number;
  s_.settled = r.settled;
  s_.resumed = s_.record_stored = true;
  s_.synced = s_.state != State::kSynSent;
  s_.copies = 1;
  if (may_confirm(r)) {
    const auto source = config_.initiator ? nonce_source(true, s_.life, r.iss, r.irs, r.number)
                                          : nonce_source(false, s_.life, r.irs, r.iss, r.number);
    // A listener's settings are known again, a caller's are not.
    const tcp::WaysConfig& known = config_.initiator ? tcp::WaysConfig{} : config_.ways;
    s_.ways = Ways::resume(known, source, config_.stores, config_.initiator, r.ways);
  }
  if (confirming()) return follow(s_.ways->speak());
  if (s_.state == State::kSynSent || s_.state == State::kSynReceived) return transmit_syn();
  emit(false);
}

// ---- Beginnings and ends ----

void Event::opened() {
  s_.state = State::kEstablished;
  s_.syn_tries = 0;
  s_.settled = s_.ways ? s_.ways->ways() : wire::kMinWays;
}

// Step N was received, and that is stored.
void Event::handshake_over() {
  opened();
  write(false);
  s_.ack_owed |= s_.data_held;
  s_.data_held = false;
}

void Event::reset(CloseReason reason) {
  const bool spoken_to = s_.syn_tries > 0 || (s_.ways && s_.ways->sent() > 0);
  const bool known = s_.state != State::kSynSent && (s_.state != State::kSynReceived || spoken_to) && s_.synced;
  finish(reason, known);
}

void Event::finish(CloseReason reason, bool with_reset) {
  Record closed;
  closed.iss = s_.iss;
  closed.irs = s_.irs;
  push({closed, false, with_reset});
  Side next = s_.without_connection();
  next.reason = reason;
  if (config_.cookies && s_.number > 0) next.used[s_.number - 1U] = s_.irs;
  next.by_policy |= reason == CloseReason::kTooFewCopies || reason == CloseReason::kHandshakeRefused ||
                    reason == CloseReason::kRefused;
  next.disk = s_.disk;
  next.writes = s_.writes;
  next.writing = s_.writing;
  s_ = next;
}

}  // namespace holdfast::model
