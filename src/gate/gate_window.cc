// How large a window may be promised: never more than the log has reserved room for (ARCHITECTURE.md, "Window").
#include <algorithm>

#include "base/mutant.h"
#include "gate/gate.h"

namespace holdfast::gate {

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

StreamOffset Gate::wanted_edge(const Entry& entry) const {
  StreamOffset edge = entry.stored.in_end + entry.stored.window;
  if (entry.appended.in_fin) edge = std::min(edge, entry.appended.in_end);
  if (entry.service == ServiceKind::kEcho) {
    // What arrives is sent back: it must fit into the send buffer at once.
    edge = std::min(edge, entry.appended.in_end + entry.connection->send_room());
  }
  return edge;
}

tcp::ReceiveAllowance Gate::receive_allowance(const tcp::Connection& connection) {
  Entry& entry = entry_of(connection);
  if (stalled_) return {entry.reserved_edge, true};
  const StreamOffset wanted = wanted_edge(entry);
  if (wanted <= entry.reserved_edge) return {entry.reserved_edge, false};
  if (!log_ || HF_MUTANT(kWindowWithoutRoom)) return {entry.reserved_edge = wanted, false};

  const std::uint64_t more = wanted - entry.reserved_edge;
  const std::uint64_t granted = std::min(more, log_->unreserved());
  if (granted > 0) log_->reserve(granted);
  entry.reserved_edge = entry.reserved_edge + granted;
  if (granted < more) starve(entry);
  return {entry.reserved_edge, false};
}

void Gate::starve(Entry& entry) {
  if (entry.starved) return;
  entry.starved = true;
  starved_.push_back(&entry);
}

// The log has room again: those that got less than they wanted ask once more, a bounded number a turn, the longest
// waiting first.
void Gate::feed_starved() {
  constexpr std::size_t kPerTurn = 64;
  constexpr std::uint64_t kWorthwhile = 64U << 10;
  if (starved_.empty() || (log_ && log_->unreserved() < kWorthwhile)) return;
  const std::size_t count = std::min(kPerTurn, starved_.size());
  turn_.assign(starved_.begin(), starved_.begin() + static_cast<std::ptrdiff_t>(count));
  starved_.erase(starved_.begin(), starved_.begin() + static_cast<std::ptrdiff_t>(count));
  for (Entry* entry : turn_) {
    entry->starved = false;
    touch(*entry);
  }
  turn_.clear();
}

void Gate::all_allowances_changed() {
  for (auto& [id, entry] : entries_) {
    if (!entry->finished) touch(*entry);
  }
}

}  // namespace holdfast::gate
