// The turn: the log works, what is stored is released, each connection that was touched finishes what it has to say.
#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "gate/gate.h"

namespace holdfast::gate {
namespace {

// Records that nobody waits for (a state that edges cannot express) are written by themselves after this.
constexpr Duration kLazyFlush = std::chrono::milliseconds(50);
// How often a full log looks whether there is room again. Each look may write a part of a segment.
constexpr Duration kSpaceRetry = std::chrono::seconds(1);
// How often the log is told what time it is, and looks whether something is old enough to go.
constexpr Duration kWallClockEvery = std::chrono::milliseconds(500);
// A turn ends even if every step makes more to do; the caller comes back at deadline().
constexpr int kRounds = 8;
// Enough for a peer that has doubled its time-out so often: one of 200 ms that was away for six seconds.
constexpr int kNudges = 4;

}  // namespace

Lsn Gate::durable() const { return log_ ? log_->durable() : Lsn{0}; }

bool Gate::must_flush() const { return (!queue_.empty() && queue_.back_lsn() >= log_->open_lsn()) || flush_wanted_; }

void Gate::pump(Time now) {
  set_now(now);
  if (silent_) {
    clock_.stand_at(log_->stored_clock_ceiling(), now);
    log_->promise_clock(clock_.ceiling_to_promise(now));
    log_->tell_time(now);
    log_->pump(true);
    look_for_room();
    last_progress_ = now;
    return;
  }
  if (!unspoken_.empty()) speak_to_the_settled(now);
  run_timers();
  if (log_) log_->tell_time(now);
  if (log_ && now >= next_wall_clock_) {
    next_wall_clock_ = now + kWallClockEvery;
    log_->tell_wall_clock(wall_time());
  }
  look_for_room();
  if (!owed_closes_.empty() && !log_->full()) append_owed_closes();
  if (now_ >= lazy_flush_) {
    flush_wanted_ = true;
    lazy_flush_ = kNever;
  }
  for (int round = 0; round < kRounds; ++round) {
    bool moved = false;
    if (log_) {
      end_turn();
      clock_.stand_at(log_->stored_clock_ceiling(), now);
      log_->promise_clock(clock_.ceiling_to_promise(now));
      moved = log_->pump(must_flush());
      // Still unissued although its time has come: the pipeline is full, or there is no room. A completion brings us
      // back.
      flush_wanted_ &= log_->has_unissued();
      watch_for_stall(moved);
    }
    call_rolls();
    tell_owed_promises();
    feed_starved();
    const bool work = !touched_.empty() || (!queue_.empty() && queue_.front().lsn <= durable());
    if (!work && !moved) break;
    release_stored();
    end_turn();
  }
  remove_finished();
  if (log_ && log_->has_unissued() && !flush_wanted_ && lazy_flush_ == kNever) lazy_flush_ = now_ + kLazyFlush;
}

void Gate::release_stored() {
  const Lsn upto = durable();
  while (!queue_.empty() && queue_.front().lsn <= upto) {
    const Item item = queue_.front();
    queue_.pop();
    if (item.kind == ItemKind::kNote) --notes_;
    if (item.entry != nullptr) --item.entry->items;
    release(item);
  }
  release_folded(upto);
}

void Gate::release(const Item& item) {
  if (item.kind == ItemKind::kClear) return output_.cleared();
  if (item.kind == ItemKind::kFrame) {
    const HeldFrame held = frames_.take(item.frame);
    if (!held.frame.empty()) {
      output_.send_frame(held.frame);
    } else if (!held.refusal || output_.is_unknown(held.tuple)) {
      tcp::SegmentOut segment;
      segment.header = held.header;
      output_.send_segment(held.tuple, segment);
    }
    return;
  }
  Entry& entry = *item.entry;
  if (item.kind == ItemKind::kStored) {
    counters_.bytes_stored += item.edges.in_end - entry.stored.in_end;
    entry.stored = item.edges;
  }
  if (entry.finished) return;
  switch (item.kind) {
    case ItemKind::kStored:
      if (HF_MUTANT(kAckRawStoredEdge)) acknowledge_raw_edge(entry);
      break;
    case ItemKind::kNote:
      // Outbound bytes of the same batch may carry the ACK.
      entry.connection->release(item.note, now_, entry.stored.out_end > entry.out_told);
      break;
    case ItemKind::kRecord:
      entry.connection->on_record_stored(now_);
      break;
    case ItemKind::kNudge:
      // Each takes back one doubling of the peer's time-out; what is too many changes nothing.
      for (int i = 0; i < kNudges; ++i)
        output_.send_unreachable(entry.connection->tuple(), entry.connection->awaited());
      break;
    case ItemKind::kFrame:
    case ItemKind::kClear:
      break;
  }
  touch(entry);
}

// Locations beyond the W-th complete a record without that anything else becomes durable.
void Gate::call_rolls() {
  std::erase_if(roll_calls_, [this](Entry* entry) {
    if (!entry->finished) entry->connection->on_copies(now_);
    entry->awaits_copies = !entry->finished && entry->connection->awaits_copies();
    if (!entry->finished && !entry->awaits_copies) touch(*entry);
    return !entry->awaits_copies;
  });
}

void Gate::release_folded(Lsn upto) {
  for (std::size_t i = 0; i < folded_.size();) {
    Entry& entry = *folded_[i];
    if (!entry.finished && entry.folded_lsn > upto) {
      ++i;
      continue;
    }
    entry.folded = false;
    folded_[i] = folded_.back();
    folded_.pop_back();
    if (entry.finished) continue;
    entry.connection->release(entry.folded_note, now_);
    touch(entry);
  }
}

void Gate::acknowledge_raw_edge(Entry& entry) {
  const tcp::Snapshot s = entry.connection->snapshot();
  tcp::AckNote note;
  // Half of what is stored: some edge that nobody noted.
  note.in_end = StreamOffset{(entry.connection->released().value + entry.stored.in_end.value) / 2};
  note.ack = s.irs + 1 + static_cast<std::uint32_t>(note.in_end.value);
  note.ts_ecr = s.ts_recent;
  entry.connection->release(note, now_);
}

void Gate::end_turn() {
  // What end_turn_of() touches again is for the next round.
  turn_.swap(touched_);
  for (Entry* entry : turn_) entry->touched = false;
  for (std::size_t i = 0; i < turn_.size(); ++i) end_turn_of(*turn_[i]);
  turn_.clear();
}

void Gate::end_turn_of(Entry& entry) {
  if (entry.handler != nullptr) hand_to_client(entry);
  if (entry.finished) return;
  if (!entry.unspoken) let_out(entry);
  if (entry.finished) return;
  if (entry.want_fin) append_fin(entry);
  if (entry.record_awaited) await_record(entry);
  if (entry.record_dirty) {
    entry.record_dirty = false;
    if (log_) append_record(entry);
  }
  reschedule(entry);
}

// What was stored meanwhile, and what follows from it.
void Gate::let_out(Entry& entry) {
  if (entry.stored.out_end > entry.out_told || entry.stored.out_fin != entry.out_fin_told) {
    entry.out_told = entry.stored.out_end;
    entry.out_fin_told = entry.stored.out_fin;
    entry.connection->on_outbound_stored(entry.stored.out_end, entry.stored.out_fin, now_);
  }
  if (!entry.finished) entry.connection->flush_acknowledgement(now_);
  if (!entry.finished) entry.connection->on_allowance_changed(now_);
}

void Gate::hand_to_client(Entry& entry) {
  ClientHandler& handler = *entry.handler;
  if (entry.tell_established) {
    entry.tell_established = false;
    if (const auto report = entry.connection->handshake()) handler.handshake(*report);
    handler.established();
  }
  // `unread` begins at the first byte not handed over yet and ends at the appended edge.
  const std::uint64_t unstored = entry.appended.in_end - entry.stored.in_end;
  if (entry.unread.size() > unstored) {
    std::vector<std::byte> stored(entry.unread.begin(), entry.unread.end() - static_cast<std::ptrdiff_t>(unstored));
    entry.unread.erase(entry.unread.begin(), entry.unread.end() - static_cast<std::ptrdiff_t>(unstored));
    handler.received(stored);
  }
  if (entry.stored.in_fin && !entry.told_peer_fin) {
    entry.told_peer_fin = true;
    handler.peer_finished();
  }
  if (entry.tell_writable && !entry.finished) {
    entry.tell_writable = false;
    handler.writable();
  }
}

void Gate::run_timers() {
  // Each connection at most once a turn, whatever deadline it names next.
  for (std::size_t left = entries_.size(); left > 0; --left) {
    Entry* entry = timers_.pop_due(now_);
    if (entry == nullptr) return;
    if (entry->connection->deadline() <= now_) {
      entry->connection->on_deadline(now_);
      touch(*entry);
    } else {
      reschedule(*entry);
    }
  }
}

// Storage that makes no progress for a while although something waits for it: windows shrink to 0, so that peers probe
// instead of timing out. What the log had no room for waits as well, at the peer.
void Gate::watch_for_stall(bool moved) {
  refused_ = refused_ && log_->unreserved() == 0;
  if (moved || !waiting_for_storage()) {
    last_progress_ = now_;
    if (!stalled_) return;
    stalled_ = false;
    observer_.stalled(false);
    all_allowances_changed();
  } else if (!stalled_ && now_ - last_progress_ >= options_.stall_after) {
    stalled_ = true;
    observer_.stalled(true);
    all_allowances_changed();
  }
}

void Gate::remove_finished() {
  std::erase_if(finished_, [this](StreamId id) {
    const auto found = entries_.find(id);
    Entry& entry = *found->second;
    if (entry.items > 0 || entry.folded || entry.touched || entry.awaits_copies) return false;
    if (entry.handler != nullptr) {
      hand_to_client(entry);
      const auto report = entry.connection->handshake();
      if (report && report->failure != tcp::WaysFailure::kNone) entry.handler->handshake(*report);
      entry.handler->finished(entry.close_reason);
    }
    forget_wishes(entry);
    if (!unspoken_.empty()) std::erase(unspoken_, &entry);  // it stays there a while after it spoke
    entries_.erase(found);
    return true;
  });
}

// Nobody tells a file system's user that others have made room: ask.
void Gate::look_for_room() {
  if (!log_ || !log_->full()) {
    space_retry_ = kNever;
  } else if (space_retry_ == kNever) {
    space_retry_ = now_ + kSpaceRetry;
  } else if (now_ >= space_retry_) {
    space_retry_ = now_ + kSpaceRetry;
    log_->retry_space();
  }
}

Time Gate::deadline() const {
  if (silent_) return space_retry_;
  if (!touched_.empty()) return now_;
  Time at = std::min({timers_.next(), lazy_flush_, space_retry_, log_ ? log_->deadline() : kNever});
  if (log_ && !stalled_ && waiting_for_storage()) at = std::min(at, last_progress_ + options_.stall_after);
  if (!log_ && !queue_.empty()) at = now_;
  return at;
}

bool Gate::idle() const { return queue_.empty() && touched_.empty() && (!log_ || !log_->busy()); }

}  // namespace holdfast::gate
