// The seventh and eighth step of RFC 9293 section 3.10.7.4: text and FIN; and the notes that ask for their ACKs.
#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "tcp/connection_impl.h"

namespace holdfast::tcp {
namespace {
constexpr std::uint32_t kMaxHeldNotes = 4096;  // notes out at a time: a bound on the host's queue
constexpr std::uint32_t kMaxNotesAtEdge = 8;   // of these, repetitions of one ACK: more tell a sender nothing new
constexpr std::uint32_t kTimestampBytes = 12;
}  // namespace

std::uint32_t Connection::Impl::full_segment() const { return config.mss - (timestamps ? kTimestampBytes : 0); }

void Connection::Impl::data_arrives(StreamOffset begin, Bytes payload, bool fin, bool pushed) {
  if (fin) fin = take_fin(begin + payload.size());
  if (rcv.fin_at && begin + payload.size() > *rcv.fin_at) {  // beyond the end of the stream: nonsense
    if (begin >= *rcv.fin_at)
      payload = {};
    else
      payload = payload.first(*rcv.fin_at - begin);
  }
  const StreamOffset end = begin + payload.size() + (fin ? 1 : 0);
  if (end <= rcv.next) return duplicate_arrives(begin, end);
  if (!may_receive(state)) return;

  std::optional<wire::SackBlock> dsack;
  if (begin < rcv.next) {
    if (sack) dsack = wire::SackBlock{to_seq(rcv.irs, begin), rcv.next_seq()};
    payload = payload.subspan(rcv.next - begin);
    begin = rcv.next;
  }
  const StreamOffset edge = std::max(rcv.window.edge(), rcv.next);
  if (begin + payload.size() > edge) {
    payload = payload.first(edge > begin ? edge - begin : 0);
    if (payload.empty()) return beyond_window();
    fin = false;
  }
  if (payload.empty() && !fin) return;
  if (begin > rcv.next) return out_of_order(begin, payload);
  in_order(payload, dsack, pushed);
}

// A FIN behind position `at`. False where it contradicts what is known: then there is none.
bool Connection::Impl::take_fin(StreamOffset at) {
  if (rcv.fin_at) return *rcv.fin_at == at;
  if (at < rcv.next || at > std::max(rcv.window.edge(), rcv.next)) return false;
  rcv.fin_at = at;
  return true;
}

// Nothing of it fits: a probe of our window, or a peer that ignores it.
void Connection::Impl::beyond_window() {
  if (rcv.all_released() || rcv.window.stalled()) ack_owed = true;
}

// The host took nothing of it although the window was open. What lies above is forgotten too: there will be no room for
// it either. Duplicate ACKs would only make the peer hurry to send what cannot be taken; its retransmission timer tries
// again at a bearable pace.
void Connection::Impl::no_room() {
  rcv.reassembly.clear();
  if (host.receive_allowance(*self).stalled) ack_owed = true;
}

void Connection::Impl::duplicate_arrives(StreamOffset begin, StreamOffset end) {
  const StreamOffset data_end = std::min(end, rcv.data_end());
  std::optional<wire::SackBlock> dsack;
  if (sack && begin < data_end) dsack = wire::SackBlock{to_seq(rcv.irs, begin), to_seq(rcv.irs, data_end)};
  if (end <= rcv.released) {
    if (state == State::kTimeWait && end == rcv.next && end > rcv.data_end()) start_time_wait();  // their FIN again
    rcv.dsack = dsack;
    ack_owed = true;
  } else if (rcv.window.stalled() || HF_MUTANT(kDuplicateDrawsAck)) {
    ack_owed = true;
  } else if (dsack && rcv.notes_at_edge == 0) {
    note_duplicate(dsack);  // leaves with the ACK that covers it
  }
}

void Connection::Impl::in_order(Bytes payload, std::optional<wire::SackBlock> dsack, bool pushed) {
  const bool fills_gap = !rcv.reassembly.empty();
  const bool ends = rcv.fin_at && *rcv.fin_at == rcv.next + payload.size();
  rcv.refused = !hand_on(payload, ends);
  if (rcv.refused) return no_room();
  if (closed()) return;
  if (fills_gap) drain_reassembly();
  if (closed()) return;
  if (rcv.fin) return fin_arrives();
  const bool answered = std::exchange(answered_in_deliver, false);
  const bool at_once = std::exchange(ack_at_once, false);
  const bool enough = rcv.ack_policy.on_data(payload.size(), full_segment());
  if (enough || fills_gap || dsack || answered || at_once || (pushed && config.note_pushed)) {
    note(dsack);
  } else {
    arm_delayed_ack();
  }
}

bool Connection::Impl::hand_on(Bytes payload, bool fin) {
  delivering = true;
  const bool taken = host.deliver(*self, rcv.next, payload, fin);
  delivering = false;
  if (!taken) return false;
  rcv.next = rcv.next + payload.size() + (fin ? 1 : 0);
  rcv.fin = fin;
  return true;
}

void Connection::Impl::drain_reassembly() {
  while (!rcv.fin && !closed()) {
    Bytes bytes = rcv.reassembly.front(rcv.next);
    if (bytes.empty()) break;
    if (rcv.fin_at) bytes = bytes.first(std::min<std::size_t>(bytes.size(), *rcv.fin_at - rcv.next));
    const bool ends = rcv.fin_at && *rcv.fin_at == rcv.next + bytes.size();
    if (!hand_on(bytes, ends)) {
      rcv.refused = true;
      return no_room();
    }
  }
  rcv.reassembly.drop_below(rcv.next);
}

void Connection::Impl::out_of_order(StreamOffset begin, Bytes payload) {
  if (rcv.refused) return no_room();
  std::optional<wire::SackBlock> dsack;
  if (!payload.empty()) {
    const auto held = rcv.reassembly.insert(rcv.next, begin, payload);
    if (held && sack) dsack = wire::SackBlock{to_seq(rcv.irs, held->begin), to_seq(rcv.irs, held->end)};
  }
  note_duplicate(dsack);  // RFC 5681 section 4.2: at once
}

// Eighth. The state is what the peer's FIN makes it; the clock of TIME-WAIT starts when its ACK leaves.
void Connection::Impl::fin_arrives() {
  apply(Event::kFinArrives);
  if (closed()) return finish(CloseReason::kNormal);
  note(std::nullopt);
}

// Asks for an ACK of all that has arrived.
void Connection::Impl::note(std::optional<wire::SackBlock> dsack) {
  if (rcv.held_notes >= kMaxHeldNotes) {
    rcv.note_postponed = true;
    return;
  }
  timers.cancel(Timer::kDelayedAck);
  rcv.ack_policy.on_noted();
  rcv.notes_at_edge = rcv.noted == rcv.next && !rcv.all_released() ? rcv.notes_at_edge + 1 : 0;
  rcv.noted = rcv.next;
  ++rcv.held_notes;
  AckNote note;
  note.ack = rcv.next_seq();
  note.in_end = rcv.data_end();
  note.ts_ecr = rcv.recent.echo();
  note.dsack = dsack;
  note.covers_fin = rcv.fin;
  host.hold(*self, note);
}

void Connection::Impl::note_duplicate(std::optional<wire::SackBlock> dsack) {
  if (!rcv.all_released() && rcv.notes_at_edge >= kMaxNotesAtEdge) return;
  note(dsack);
}

// A duplicate ACK for a gap that was filled while the note was held, after one of its kind has left: it would only
// tell the peer of a loss that is repaired.
bool Connection::Impl::stale_duplicate(const AckNote& note_, StreamOffset edge) const {
  if (edge != rcv.released || edge == rcv.next) return false;
  return !note_.dsack || note_.dsack->right > to_seq(rcv.irs, edge);
}

// A note has come back.
void Connection::Impl::released(const AckNote& note_) {
  if (closed()) return;
  if (rcv.held_notes > 0) --rcv.held_notes;
  const StreamOffset edge = note_.in_end + (note_.covers_fin ? 1 : 0);
  HF_ASSERT(edge <= rcv.next);
  if (edge < rcv.released) return;
  const bool first = !std::exchange(rcv.synced, true);
  const bool repeated = !first && stale_duplicate(note_, edge);
  rcv.released = edge;
  rcv.released_ts = note_.ts_ecr;
  if (note_.dsack) rcv.dsack = note_.dsack;
  if (first && confirming()) {
    stage_stored();
  } else if (first && state == State::kSynReceived) {
    transmit_syn();
  } else if (!repeated) {
    ack_owed = true;
  }
  if (note_.covers_fin && state == State::kTimeWait) start_time_wait();
  if (rcv.all_released()) rcv.held_notes = rcv.notes_at_edge = 0;
  if (std::exchange(rcv.note_postponed, false)) note(std::nullopt);
}

void Connection::Impl::start_time_wait() {
  timers.cancel_all();
  timers.set(Timer::kTimeWait, now + 2 * config.msl);  // RFC 9293 MUST-13
}

}  // namespace holdfast::tcp
