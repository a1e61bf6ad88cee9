#include "gate/gate.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"

namespace holdfast::gate {
namespace {

std::uint64_t clock_start(const log::Log* log, std::uint64_t wall_clock) {
  const std::uint64_t ceiling = log != nullptr ? log->stored_clock_ceiling() : 0;
  if (HF_MUTANT(kClockLeaps)) return std::max(ceiling, wall_clock);
  return ceiling != 0 ? ceiling : wall_clock;
}

}  // namespace

Gate::Gate(const Options& options, std::unique_ptr<log::Log> log, Output& output, Observer& observer,
           std::uint64_t wall_clock, Time now)
    : options_(options),
      log_(std::move(log)),
      output_(output),
      observer_(observer),
      clock_(clock_start(log_.get(), wall_clock), now),
      now_(now),
      wall_clock_(wall_clock),
      started_(now),
      silent_(log_ != nullptr),
      last_progress_(now) {
  if (!log_) return;
  log_->set_checkpoint_source(this);
  log_->promise_clock(clock_.ceiling_to_promise(now));
}

Gate::~Gate() {
  if (log_) log_->set_checkpoint_source(nullptr);
}

void Gate::set_now(Time now) {
  HF_ASSERT(now >= now_);
  now_ = now;
}

std::uint64_t Gate::wall_time() const { return wall_clock_ + static_cast<std::uint64_t>((now_ - started_).count()); }

StreamId Gate::next_id() {
  if (!log_ || HF_MUTANT(kStreamIdReused)) return StreamId{++volatile_id_};
  return log_->next_stream_id();
}

Entry* Gate::add(std::unique_ptr<tcp::Connection> connection, ServiceKind service, ClientHandler* handler, Time now) {
  set_now(now);
  auto owned = std::make_unique<Entry>();
  Entry& entry = *owned;
  entry.id = connection->id();
  entry.service = service;
  entry.handler = handler;
  entry.opened = wall_time();
  entry.window_next = first_window(connection->receive_window_shift());
  entry.connection = std::move(connection);
  entry.connection->user = &entry;
  reserve_window(entry, StreamOffset{0});
  entry.stored.window = entry.appended.window;  // nothing leaves before the record that promises it is stored

  const Lsn lsn = log_ ? append_record(entry) : Lsn{0};
  if (log_ && lsn == Lsn{0}) {
    log_->unreserve(entry.reserved_edge.value);
    forget_wishes(entry);
    return nullptr;
  }
  entry.record_lsn = lsn;
  const StreamId id = entry.id;
  entries_[id] = std::move(owned);
  if (HF_MUTANT(kSynAckBeforeRecord)) {
    entry.connection->on_record_stored(now);
  } else {
    Item item;
    item.lsn = lsn;
    item.kind = ItemKind::kRecord;
    item.entry = &entry;
    push(item);
  }
  reschedule(entry);
  observer_.opened(id, entry.connection->tuple(), service);
  return &entry;
}

Entry* Gate::find(StreamId id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.get();
}

void Gate::retire(Entry& entry) { finished(*entry.connection, tcp::CloseReason::kNormal); }

void Gate::reschedule(Entry& entry) {
  if (!entry.finished) timers_.set(entry, entry.connection->deadline());
}

void Gate::touch(Entry& entry) {
  if (entry.touched) return;
  entry.touched = true;
  touched_.push_back(&entry);
}

void Gate::push(Item item) {
  if (item.entry != nullptr) ++item.entry->items;
  if (item.kind == ItemKind::kNote) ++notes_;
  if (!waiting_for_storage()) last_progress_ = now_;  // idle until now: that was no stall
  const std::uint64_t ticket = queue_.push(item);
  if (item.kind == ItemKind::kStored) item.entry->stored_ticket = ticket;
}

// ---- Records ----

// Where there are more outbound extents than fit, a recovery knows of the others from the records of that data, or from
// the checkpoint that it begins with.
Lsn Gate::append_record(Entry& entry) { return append_record(entry, newest_extents(entry.outbound)); }

Lsn Gate::append_record(Entry& entry, const ExtentRange& outbound) {
  ConnectionRecord record{entry.connection->snapshot(), static_cast<std::uint8_t>(entry.service), entry.opened};
  // The record speaks of what the log holds at this place, and of what may be advertised once it is stored.
  tcp::Snapshot& s = record.snapshot;
  s.rcv_end = entry.appended.in_end;
  s.rcv_fin = entry.appended.in_fin;
  s.snd_end = entry.appended.out_end;
  s.snd_fin = entry.appended.out_fin;
  s.snd_una = std::min(s.snd_una, s.snd_end);
  s.edge = std::max(entry.reserved_edge, entry.promised_edge);
  log::RecordHeader header;
  header.type = log::RecordType::kConnection;
  header.stream = entry.id;
  const Lsn lsn = log_->append(header, encode(record, outbound));
  if (lsn != Lsn{0}) entry.record_dirty = false;
  return lsn;
}

// Appends the record and has the connection told once it is stored. False where the log has no room for it yet.
bool Gate::await_record(Entry& entry) {
  const Lsn lsn = log_ ? append_record(entry) : Lsn{0};
  entry.record_awaited = log_ && lsn == Lsn{0};
  if (entry.record_awaited) {
    starve(entry);
    return false;
  }
  entry.record_lsn = lsn;
  Item item;
  item.lsn = std::max(lsn, queue_.back_lsn());
  item.kind = ItemKind::kRecord;
  item.entry = &entry;
  push(item);
  return true;
}

Lsn Gate::append_close(Entry& entry, tcp::CloseReason reason) {
  // An older connection of the same peer would be the only one at the next start.
  append_owed_closes();
  if (!owed_closes_.empty()) return Lsn{0};
  const Lsn lsn = append_close(entry.id, reason);
  entry.close_recorded = lsn != Lsn{0};
  return lsn;
}

Lsn Gate::append_close(StreamId id, tcp::CloseReason reason) {
  log::RecordHeader header;
  header.type = log::RecordType::kClose;
  header.stream = id;
  header.extra = static_cast<std::uint32_t>(reason);
  return log_->append(header, {});
}

void Gate::remember_outbound(Entry& entry) {
  const log::Extent extent = log_->last_extent();
  if (extent.length == 0) return;
  // The log names the piece just appended: where it was merged into a record, that record's extent grows.
  if (!entry.outbound.empty() && entry.outbound.back().segment == extent.segment &&
      entry.outbound.back().position == extent.position) {
    log::Extent& last = entry.outbound.back();
    last.length = static_cast<std::uint32_t>(extent.offset + extent.length - last.offset);
    last.flags = extent.flags;
  } else {
    entry.outbound.push_back(extent);
    entry.crowded |= entry.outbound.size() >= kMaxOutboundExtents;
  }
}

void Gate::note_stored_edges(Entry& entry, Lsn lsn) {
  if (queue_.holds(entry.stored_ticket)) {
    Item& last = queue_.at(entry.stored_ticket);
    if (last.lsn == lsn && last.entry == &entry && last.kind == ItemKind::kStored) {
      last.edges = entry.appended;
      return;
    }
  }
  Item item;
  item.lsn = std::max(lsn, queue_.back_lsn());
  item.kind = ItemKind::kStored;
  item.entry = &entry;
  item.edges = entry.appended;
  push(item);
}

// ---- Outbound ----

bool Gate::commit(Entry& entry, StreamOffset consumed, Bytes output, bool fin, Time now) {
  set_now(now);
  HF_ASSERT(output.size() <= entry.connection->send_room() && !entry.appended.out_fin);
  if (output.size() > log::kMaxPayload || entry.outbound.size() >= kMaxOutboundExtents) return false;
  Lsn lsn{0};
  if (log_) {
    log::RecordHeader header;
    header.type = log::RecordType::kOut;
    header.flags = fin ? log::kFin : std::uint8_t{0};
    header.stream = entry.id;
    header.offset = entry.appended.out_end.value;
    lsn = log_->append(header, output, consumed.value);
    if (lsn == Lsn{0}) return false;
    remember_outbound(entry);
  }
  if (!output.empty()) entry.connection->queue(output);
  if (fin) entry.connection->queue_fin();
  entry.appended.out_end = entry.appended.out_end + output.size();
  entry.appended.out_fin |= fin;
  note_stored_edges(entry, lsn);
  reschedule(entry);
  return true;
}

bool Gate::append_fin(Entry& entry) {
  entry.want_fin = !entry.appended.out_fin && !commit(entry, entry.appended.in_end, {}, true, now_);
  if (entry.want_fin) starve(entry);
  return !entry.want_fin;
}

// ---- Frames that assert something about us ----

void Gate::hold_until(Lsn lsn, HeldFrame frame) {
  const auto index = frames_.add(std::move(frame));
  if (!index) {
    ++counters_.frames_dropped;
    return;
  }
  Item item;
  item.lsn = std::max(lsn, queue_.back_lsn());
  item.kind = ItemKind::kFrame;
  item.frame = *index;
  push(item);
}

void Gate::hold_frame(Bytes frame) {
  if (!log_) return output_.send_frame(frame);
  HeldFrame held;
  held.frame.assign(frame.begin(), frame.end());
  hold_until(log_->barrier(), std::move(held));
}

void Gate::hold_clearance() {
  Item item;
  item.lsn = std::max(log_ ? log_->barrier() : Lsn{0}, queue_.back_lsn());
  item.kind = ItemKind::kClear;
  push(item);
}

void Gate::hold_refusal(const wire::FourTuple& tuple, const wire::TcpHeader& header) {
  HeldFrame held;
  held.tuple = tuple;
  held.header = header;
  held.refusal = true;
  if (HF_MUTANT(kRefuseBeforeRecovery)) {
    tcp::SegmentOut segment;
    segment.header = header;
    output_.send_segment(tuple, segment);
    return;
  }
  hold_until(log_ ? log_->barrier() : Lsn{0}, std::move(held));
}

}  // namespace holdfast::gate
