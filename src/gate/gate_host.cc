// What TCP asks of the gate (tcp::Host).
#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "gate/gate.h"

namespace holdfast::gate {

bool Gate::deliver(tcp::Connection& connection, StreamOffset at, Bytes payload, bool fin) {
  Entry& entry = entry_of(connection);
  HF_ASSERT(at == entry.appended.in_end && !entry.appended.in_fin);
  const bool echo = entry.service == ServiceKind::kEcho;
  if (echo && (payload.size() > connection.send_room() || entry.outbound.size() >= kMaxOutboundExtents)) {
    ++counters_.undeliverable;
    return false;
  }
  grow_window(entry);
  const StreamOffset end = at + payload.size();
  const bool client = entry.service == ServiceKind::kClient;
  const bool record_first = log_ && client && fin && entry.record_dirty;
  // The log may move the payload within its batch: what is kept in memory besides is taken before.
  Bytes kept = payload;
  if (log_ && (echo || entry.handler != nullptr || record_first)) {
    kept_.assign(payload.begin(), payload.end());
    kept = kept_;
  }
  if (record_first) {
    // That our FIN is acknowledged must not be stored after the peer's: once that one is acknowledged the peer forgets
    // us, and nobody can tell a replacement any more.
    append_record(entry);
    payload = kept;
  }
  const StoredEdges before = entry.appended;
  reserve_window(entry, end);
  Lsn lsn{0};
  if (log_) {
    log::RecordHeader header;
    header.type = log::RecordType::kIn;
    header.flags = static_cast<std::uint8_t>((fin ? log::kFin : 0) | (echo ? log::kEcho : 0));
    header.stream = entry.id;
    header.offset = at.value;
    header.extra = entry.appended.window;
    lsn = log_->append(header, payload);
    if (lsn == Lsn{0}) {
      // The room stays reserved, and is promised by the record that finds its place.
      entry.appended = before;
      ++counters_.undeliverable;
      if (!waiting_for_storage()) last_progress_ = now_;
      refused_ = true;
      return false;
    }
    refused_ = false;
    if (entry.reserved_edge > at) log_->unreserve(std::min(entry.reserved_edge, end) - at);
  }
  entry.reserved_edge = std::max(entry.reserved_edge, end);
  entry.appended.in_end = end;
  entry.appended.in_fin = fin;
  if (echo) {
    if (log_) remember_outbound(entry);
    if (!kept.empty()) connection.queue(kept);
    if (fin) connection.queue_fin();
    entry.appended.out_end = end;
    entry.appended.out_fin = fin;
  } else if (client && entry.handler != nullptr) {
    entry.unread.insert(entry.unread.end(), kept.begin(), kept.end());
  }
  note_stored_edges(entry, lsn);
  if (HF_MUTANT(kOutboundUnstored) && echo) connection.on_outbound_stored(end, fin, now_);
  if (fin && entry.service == ServiceKind::kStore) append_fin(entry);
  return true;
}

void Gate::hold(tcp::Connection& connection, const tcp::AckNote& note) {
  Entry& entry = entry_of(connection);
  if (HF_MUTANT(kGateOff) || (HF_MUTANT(kFinAckUnstored) && note.covers_fin)) {
    connection.release(note, now_);
    return;
  }
  const bool stored = note.in_end <= entry.stored.in_end && (!note.covers_fin || entry.stored.in_fin);
  if (stored && entry.items == 0 && !entry.folded) {
    connection.release(note, now_);
    return;
  }
  // Behind everything that waits already: at least as long as the bytes that it covers, which are in that queue.
  const Lsn lsn = queue_.back_lsn();
  if (notes_ >= ReleaseQueue::kMaxNotes) {
    ++counters_.notes_folded;
    entry.folded_note = note;
    entry.folded_lsn = lsn;
    if (!entry.folded) folded_.push_back(&entry);
    entry.folded = true;
    return;
  }
  Item item;
  item.lsn = lsn;
  item.kind = ItemKind::kNote;
  item.entry = &entry;
  item.note = note;
  push(item);
}

void Gate::transmit(tcp::Connection& connection, const tcp::SegmentOut& segment) {
#ifndef HOLDFAST_MUTANTS
  // Rule 1 once more, at the last place where it can be checked. (Left out where mutants are to be caught from
  // outside.)
  const Entry& entry = entry_of(connection);
  HF_ASSERT(connection.released() <= entry.stored.in_end);
#endif
  if (segment.header.flags.rst) {
    // "This segment belongs to nothing here" (a half-open connection's answer to a wrong ACK) is said under the same
    // condition as "no such connection".
    HeldFrame held;
    held.tuple = connection.tuple();
    held.header = segment.header;
    hold_until(log_ ? log_->barrier() : Lsn{0}, std::move(held));
    return;
  }
  output_.send_segment(connection.tuple(), segment);
}

void Gate::transmit_reset(tcp::Connection& connection, std::span<const tcp::SegmentOut> segments,
                          tcp::CloseReason reason) {
  Entry& entry = entry_of(connection);
  Lsn lsn{0};
  if (log_) {
    lsn = append_close(entry, reason);
    if (lsn == Lsn{0}) return;  // no room to say so: then silence is all that may be said
  }
  for (const tcp::SegmentOut& segment : segments) {
    if (HF_MUTANT(kResetBeforeCloseRecord)) {
      output_.send_segment(connection.tuple(), segment);
      continue;
    }
    HeldFrame held;
    held.tuple = connection.tuple();
    held.header = segment.header;
    hold_until(lsn, std::move(held));
  }
}

void Gate::acknowledged(tcp::Connection& connection, StreamOffset una, bool /*fin*/) {
  Entry& entry = entry_of(connection);
  while (!entry.outbound.empty() && entry.outbound.front().offset + entry.outbound.front().length <= una.value) {
    entry.outbound.pop_front();
  }
  if (entry.outbound.size() <= kMaxOutboundExtents / 2) entry.crowded = false;
  entry.tell_writable = true;
  touch(entry);
}

void Gate::state_changed(tcp::Connection& connection, tcp::State from, tcp::State to) {
  Entry& entry = entry_of(connection);
  // Edges say the rest: only what they cannot say is recorded, and nothing waits for it.
  if (to == tcp::State::kEstablished || to == tcp::State::kFinWait2 || to == tcp::State::kTimeWait) {
    entry.record_dirty = true;
  }
  entry.record_awaited |= from == tcp::State::kSynSent && to != tcp::State::kClosed;
  entry.tell_established |= to == tcp::State::kEstablished;
  output_.state_changed(entry, from, to);
  if (to == tcp::State::kEstablished) {
    if (const auto report = connection.handshake()) observer_.handshake(entry.id, connection.tuple(), *report);
  }
  touch(entry);
}

void Gate::finished(tcp::Connection& connection, tcp::CloseReason reason) {
  Entry& entry = entry_of(connection);
  HF_ASSERT(!entry.finished);
  entry.finished = true;
  entry.close_reason = reason;
  if (log_) {
    // Without room for the record, and none before the next start, the connection comes back then; its peer ends it.
    if (!entry.close_recorded && append_close(entry, reason) == Lsn{0}) owed_closes_.emplace_back(entry.id, reason);
    if (entry.reserved_edge > entry.appended.in_end) log_->unreserve(entry.reserved_edge - entry.appended.in_end);
    entry.reserved_edge = entry.appended.in_end;
  }
  timers_.erase(entry);
  output_.forget(entry);
  finished_.push_back(entry.id);
  if (const auto report = connection.handshake(); report && report->failure != tcp::WaysFailure::kNone) {
    observer_.handshake(entry.id, connection.tuple(), *report);
  }
  observer_.closed(entry.id, connection.tuple(), reason);
}

// ---- The N-way handshake ----

const Secret& Gate::nonce_secret() const { return log_ ? log_->secrets().cookie : options_.nonce_secret; }

std::uint8_t Gate::copies(const tcp::Connection& connection) const {
  if (!log_ || connection.user == nullptr) return 0;
  const Lsn lsn = entry_of(connection).record_lsn;
  // A record that is still to be appended is nowhere.
  if (lsn == Lsn{0} || entry_of(connection).record_awaited) return 0;
  return static_cast<std::uint8_t>(std::min(log_->copies(lsn) + (HF_MUTANT(kCopyTooMany) ? 1U : 0U), 255U));
}

std::uint8_t Gate::most_copies() const {
  return log_ ? static_cast<std::uint8_t>(std::min(log_->most_copies(), 255U)) : std::uint8_t{0};
}

void Gate::store_record(tcp::Connection& connection) {
  Entry& entry = entry_of(connection);
  if (HF_MUTANT(kStepNUnstored)) return connection.on_record_stored(now_);
  entry.record_awaited = true;
  touch(entry);
}

void Gate::await_copies(tcp::Connection& connection) {
  Entry& entry = entry_of(connection);
  if (entry.awaits_copies) return;
  entry.awaits_copies = true;
  roll_calls_.push_back(&entry);
}

std::optional<std::uint32_t> Gate::clock_stood_at() {
  const auto at = clock_.stood_at(now_);
  if (!at) return std::nullopt;
  return static_cast<std::uint32_t>(*at / 1'000'000);
}

std::uint32_t Gate::timestamp_clock() {
  const std::uint64_t ceiling = log_ ? log_->stored_clock_ceiling() : ~std::uint64_t{0};
  return static_cast<std::uint32_t>(clock_.shown(now_, ceiling) / 1'000'000);
}

}  // namespace holdfast::gate
