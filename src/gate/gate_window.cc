// How large a window may be promised: never more than the log has reserved room for (ARCHITECTURE.md, "Window").
#include <algorithm>

#include "base/mutant.h"
#include "gate/gate.h"

namespace holdfast::gate {
namespace {

constexpr std::size_t kWindowsPerTurn = 64;

}  // namespace

// Of the room that is left as much as would do for as many more as there are: a burst of connections is quicker than
// the disk that makes room for their windows.
std::uint32_t Gate::first_window(unsigned window_shift) const {
  constexpr std::uint64_t kFew = 16;
  constexpr std::uint64_t kLeast = 4096;
  // The smallest step that the window field can say, rounded up. Less than two of them may look like none at all, and a
  // peer that sends nothing gives no reason to let the window grow.
  const std::uint64_t granule = std::uint64_t{1} << window_shift;
  const std::uint64_t least = std::max(kLeast, 2 * granule);
  const std::uint64_t share = log_ ? log_->unreserved() / (entries_.size() + kFew) : options_.initial_receive_window;
  const std::uint64_t wanted = std::max(std::min<std::uint64_t>(share, options_.initial_receive_window), least);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, options_.max_receive_window));
}

// The window doubles each time that half of it has been used since it last grew. The larger one is promised by the data
// record that is being appended and in force once that is stored: a replacement then knows the highest edge that its
// predecessor can have advertised.
void Gate::grow_window(Entry& entry) {
  const std::uint32_t limit = std::min(options_.max_receive_window, entry.connection->receive_window_scale_limit());
  if (entry.window_next >= limit) return;
  if (entry.appended.in_end - entry.grown_at < entry.window_next / 2) return;
  entry.grown_at = entry.appended.in_end;
  entry.window_next = std::min(limit, entry.window_next * 2);
}

// Reserves room for the window, as far as the log has it, and so makes it a promise: the record that is being appended
// carries it, and once that is stored the edge may be advertised.
void Gate::reserve_window(Entry& entry, StreamOffset end) {
  const StreamOffset wanted = end + entry.window_next;
  if (wanted > entry.reserved_edge) {
    const std::uint64_t more = wanted - entry.reserved_edge;
    const std::uint64_t granted = log_ ? std::min(more, log_->unreserved()) : more;
    if (log_ && granted > 0) log_->reserve(granted);
    entry.reserved_edge = entry.reserved_edge + granted;
    if (granted < more) starve(entry);
  }
  entry.appended.window = static_cast<std::uint32_t>(entry.reserved_edge - std::min(end, entry.reserved_edge));
  counters_.widest_window = std::max(counters_.widest_window, entry.appended.window);
}

// What the stored records promise; for a service that sends back what arrives, no more than fits into the send buffer
// at once.
tcp::ReceiveAllowance Gate::receive_allowance(const tcp::Connection& connection) {
  Entry& entry = entry_of(connection);
  if (HF_MUTANT(kWindowWithoutRoom)) return {entry.stored.in_end + options_.max_receive_window, false};
  StreamOffset edge = entry.stored.in_end + entry.stored.window;
  if (entry.service == ServiceKind::kEcho) {
    edge = std::min(edge, entry.appended.in_end + entry.connection->send_room());
  }
  // An open window whose bytes are not taken would end in a time-out of a peer that has only not read for a while.
  return {edge, stalled_ || entry.crowded};
}

void Gate::starve(Entry& entry) {
  if (entry.starved) return;
  entry.starved = true;
  starved_.push_back(&entry);
}

// The log has room again: those that got less than they wanted ask once more, a bounded number a turn, the longest
// waiting first.
void Gate::feed_starved() {
  constexpr std::uint64_t kWorthwhile = 64U << 10;
  if (starved_.empty() || (log_ && log_->unreserved() < kWorthwhile)) return;
  const std::size_t count = std::min(kWindowsPerTurn, starved_.size());
  turn_.assign(starved_.begin(), starved_.begin() + static_cast<std::ptrdiff_t>(count));
  starved_.erase(starved_.begin(), starved_.begin() + static_cast<std::ptrdiff_t>(count));
  for (Entry* entry : turn_) {
    entry->starved = false;
    if (entry->finished) continue;
    promise_more(*entry);
    touch(*entry);
  }
  turn_.clear();
}

// A larger promise without data to carry it: the connection record does.
void Gate::promise_more(Entry& entry) {
  if (entry.appended.in_fin) return;
  const StreamOffset before = entry.reserved_edge;
  reserve_window(entry, entry.appended.in_end);
  if (entry.reserved_edge > before) tell_promise(entry);
}

bool Gate::tell_promise(Entry& entry) {
  const Lsn lsn = log_ ? append_record(entry) : Lsn{0};
  if (log_ && lsn == Lsn{0}) {
    // Not now: the next data record would carry it, but behind a closed window none may come.
    if (!entry.promise_owed) owed_.push_back(&entry);
    entry.promise_owed = true;
    return false;
  }
  note_stored_edges(entry, lsn);
  return true;
}

// Their room is reserved already, however little there is now.
void Gate::tell_owed_promises() {
  for (std::size_t i = 0; i < kWindowsPerTurn && !owed_.empty(); ++i) {
    Entry& entry = *owed_.front();
    if (!entry.finished) {
      if (!tell_promise(entry)) return;
      touch(entry);
    }
    entry.promise_owed = false;
    owed_.erase(owed_.begin());
  }
}

void Gate::forget_wishes(Entry& entry) {
  if (entry.starved) std::erase(starved_, &entry);
  if (entry.promise_owed) std::erase(owed_, &entry);
}

void Gate::all_allowances_changed() {
  for (auto& [id, entry] : entries_) {
    if (!entry->finished) touch(*entry);
  }
}

}  // namespace holdfast::gate
