// Connections that outlived their node, and the checkpoints that let the next one find them quickly.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "gate/gate.h"
#include "tcp/state.h"

namespace holdfast::gate {

Result<Entry*> Gate::resume(StreamId id, RecoveredConnection& recovered, tcp::Config config, Time now) {
  set_now(now);
  HF_ASSERT(log_ != nullptr);
  auto owned = std::make_unique<Entry>();
  Entry& entry = *owned;
  tcp::Snapshot& s = recovered.record.snapshot;
  entry.id = id;
  entry.service = static_cast<ServiceKind>(recovered.record.service);
  entry.opened = recovered.record.opened;
  // The window that was promised is promised again, as far as there is room. Nothing comes behind the peer's FIN.
  const StreamOffset promised = s.rcv_fin ? s.rcv_end : std::max(s.edge, s.rcv_end);
  const std::uint64_t granted = std::min(promised - s.rcv_end, log_->inheritable());
  if (granted > 0) log_->reserve(granted);
  entry.reserved_edge = s.rcv_end + granted;
  entry.grown_at = s.rcv_end;
  const std::uint64_t window = std::max<std::uint64_t>(promised - s.rcv_end, first_window(s.receive_scale));
  entry.window_next = static_cast<std::uint32_t>(std::min<std::uint64_t>(window, options_.max_receive_window));
  entry.appended = {s.rcv_end, s.snd_end, s.rcv_fin, s.snd_fin, static_cast<std::uint32_t>(granted)};
  entry.stored = entry.appended;
  entry.record_lsn = log_->epoch_start();  // behind all that was adopted
  s.edge = entry.promised_edge = promised;
  s.room_end = entry.reserved_edge;
  if (granted < entry.window_next && !s.rcv_fin) starve(entry);

  const std::uint64_t unacknowledged = s.snd_end - s.snd_una;
  std::uint64_t send_buffer = std::max<std::uint64_t>(config.send_buffer, unacknowledged);
  if (entry.service == ServiceKind::kEcho) {
    // The window that was advertised kept to the send buffer's room, which looks smaller now: SND.UNA may lag.
    send_buffer = std::max(send_buffer, unacknowledged + granted);
  }
  config.send_buffer = static_cast<std::uint32_t>(std::min<std::uint64_t>(send_buffer, ~std::uint32_t{0}));
  entry.connection = tcp::Connection::resume(*this, config, id, s, now);
  entry.connection->user = &entry;
  entry.outbound = recovered.outbound;
  while (!entry.outbound.empty() && entry.outbound.front().offset + entry.outbound.front().length <= s.snd_una.value) {
    entry.outbound.pop_front();
  }
  entry.crowded = entry.service == ServiceKind::kEcho && entry.outbound.size() >= kMaxOutboundExtents;
  if (auto read = read_outbound(entry, s); !read) {
    forget_wishes(entry);
    if (granted > 0) log_->unreserve(granted);
    observer_.not_resumed(id, s.tuple, read.error());
    return std::unexpected(read.error());
  }
  if (s.snd_fin) entry.connection->queue_fin();
  if (s.rcv_fin && !s.snd_fin && entry.service == ServiceKind::kStore) entry.want_fin = true;
  entries_[id] = std::move(owned);
  observer_.resumed(id, entry.connection->tuple(), entry.connection->state());
  return &entry;
}

StreamOffset Gate::attach(Entry& entry, ClientHandler& handler) {
  HF_ASSERT(entry.service == ServiceKind::kClient && entry.handler == nullptr && entry.unread.empty());
  entry.handler = &handler;
  entry.tell_established = tcp::is_synchronized(entry.connection->state());
  touch(entry);
  return entry.appended.in_end;
}

Result<void> Gate::read_outbound(Entry& entry, const tcp::Snapshot& s) {
  StreamOffset next = s.snd_una;
  std::vector<std::byte> buffer;
  for (const log::Extent& extent : entry.outbound) {
    const std::uint64_t end = extent.offset + extent.length;
    if (extent.offset > next.value || end <= next.value) break;
    buffer.resize(end - next.value);
    if (auto read = log_->read(extent, next.value, buffer); !read) return read;
    entry.connection->queue(buffer);
    next = StreamOffset{end};
  }
  if (next != s.snd_end) {
    return fail(Error::Kind::kCorrupt, fmt::format("stream {}: outbound bytes {}..{} are not in the log",
                                                   entry.id.value, next.value, s.snd_end.value));
  }
  return {};
}

void Gate::speak_all(Time now) {
  set_now(now);
  silent_ = false;
  for (auto& [id, entry] : entries_) {
    if (entry->finished) continue;
    entry->unspoken = true;
    unspoken_.push_back(entry.get());
  }
  speak_to_the_settled(now);
}

// A frame to a peer whose link address is not known waits in a queue that is short; a thousand would not fit.
void Gate::speak_to_the_settled(Time now) {
  std::erase_if(unspoken_, [&](Entry* entry) {
    if (entry->unspoken && !output_.settled(entry->connection->tuple(), now)) return false;
    speak_first(*entry, now);
    return true;
  });
}

void Gate::speak_first(Entry& entry, Time now) {
  if (!std::exchange(entry.unspoken, false) || entry.finished) return;
  set_now(now);
  entry.out_told = entry.stored.out_end;
  entry.out_fin_told = entry.stored.out_fin;
  entry.connection->on_outbound_stored(entry.stored.out_end, entry.stored.out_fin, now);
  if (!entry.finished) entry.connection->speak(now);
  if (options_.nudge) nudge(entry);
  touch(entry);
}

// Behind what was said first: the peer takes it for news about its oldest segment only once it knows how far we are.
void Gate::nudge(Entry& entry) {
  if (!log_ || entry.finished || !tcp::is_synchronized(entry.connection->state()) || entry.stored.in_fin) return;
  Item item;
  item.lsn = std::max(log_->barrier(), queue_.back_lsn());
  item.kind = ItemKind::kNudge;
  item.entry = &entry;
  push(item);
}

void Gate::set_aside(StreamId id, RecoveredConnection connection) { aside_[id] = std::move(connection); }

void Gate::end_aside(StreamId id, tcp::CloseReason reason) {
  HF_ASSERT(aside_.contains(id));
  owed_closes_.emplace_back(id, reason);
  append_owed_closes();
}

// In their order, up to the first for which there is no room: the others, as small as that one, have none either.
void Gate::append_owed_closes() {
  auto owed = owed_closes_.begin();
  for (; owed != owed_closes_.end(); ++owed) {
    const auto [id, reason] = *owed;
    if (append_close(id, reason) == Lsn{0}) break;
    if (const auto found = aside_.find(id); found != aside_.end()) {
      observer_.closed(id, found->second.record.snapshot.tuple, reason);
      aside_.erase(found);
    }
  }
  owed_closes_.erase(owed_closes_.begin(), owed);
}

void Gate::checkpoint_begin() {
  checkpoint_cursor_ = aside_cursor_ = StreamId{0};
  listing_.begin();
  // While connections are still to be resumed all of them count.
  checkpoint_limit_ = silent_ ? StreamId{~std::uint64_t{0}} : entries_.empty() ? StreamId{0} : entries_.rbegin()->first;
}

bool Gate::checkpoint_step(std::size_t budget) {
  if (silent_) return true;
  StepBudget step(budget);
  for (auto at = aside_.upper_bound(aside_cursor_); at != aside_.end(); ++at) {
    const auto& [id, connection] = *at;
    const bool done = listing_.go_on(id, connection.outbound, [&](const ExtentRange& listed) {
      return step.fits(listed) && append_recovered(*log_, id, connection, listed) != Lsn{0};
    });
    if (!done) return true;
    aside_cursor_ = id;
  }
  for (auto at = entries_.upper_bound(checkpoint_cursor_); at != entries_.end() && at->first <= checkpoint_limit_;
       ++at) {
    Entry& entry = *at->second;
    // One whose close is recorded must not be raised again.
    const bool ended = entry.finished || entry.close_recorded;
    const bool done = ended || listing_.go_on(entry.id, entry.outbound, [&](const ExtentRange& listed) {
      return step.fits(listed) && append_record(entry, listed) != Lsn{0};
    });
    if (!done) return true;
    checkpoint_cursor_ = at->first;
  }
  return false;
}

}  // namespace holdfast::gate
