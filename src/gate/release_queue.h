// What waits for the log, in the order of the batches that it waits for: one queue for a whole shard. LSNs only grow,
// so that each connection's items come out in the order in which they went in.
#pragma once

#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "base/units.h"
#include "tcp/connection.h"

namespace holdfast::gate {

struct Entry;

enum class ItemKind : std::uint8_t {
  kNote,    // an ACK note
  kStored,  // stream edges that this batch stores
  kRecord,  // the connection record: SYN-ACK or SYN may leave
  kFrame,   // an assertion about ourselves: ARP, "no such connection", our own RST; `frame` indexes HeldFrames
};

struct StoredEdges {
  StreamOffset in_end, out_end;
  bool in_fin = false, out_fin = false;
  std::uint32_t window = 0;  // promised by the last data record: bytes above in_end that may be advertised
};

struct Item {
  Lsn lsn;
  ItemKind kind = ItemKind::kNote;
  Entry* entry = nullptr;   // kept alive by Entry::items
  tcp::AckNote note;        // kNote
  StoredEdges edges;        // kStored
  std::uint32_t frame = 0;  // kFrame
};

class ReleaseQueue {
 public:
  // A bound on what a peer can make us keep. Notes beyond it are folded (gate.h); the rest is bounded by what it stands
  // for.
  static constexpr std::size_t kMaxNotes = 1U << 16;

  ReleaseQueue() : slots_(256) {}

  bool empty() const { return head_ == tail_; }
  std::size_t size() const { return static_cast<std::size_t>(tail_ - head_); }
  Item& front() { return slots_[head_ & (slots_.size() - 1)]; }
  Lsn back_lsn() const { return empty() ? Lsn{0} : slots_[(tail_ - 1) & (slots_.size() - 1)].lsn; }
  void pop() { ++head_; }

  // Returns the item's ticket: at(ticket) reaches it until it is popped.
  std::uint64_t push(const Item& item) {
    HF_ASSERT(item.lsn >= back_lsn());
    if (size() == slots_.size()) grow();
    slots_[tail_ & (slots_.size() - 1)] = item;
    return tail_++;
  }
  bool holds(std::uint64_t ticket) const { return ticket >= head_ && ticket < tail_; }
  Item& at(std::uint64_t ticket) { return slots_[ticket & (slots_.size() - 1)]; }

 private:
  void grow() {
    std::vector<Item> larger(slots_.size() * 2);
    for (std::uint64_t i = head_; i != tail_; ++i) larger[i & (larger.size() - 1)] = slots_[i & (slots_.size() - 1)];
    slots_ = std::move(larger);
  }

  std::vector<Item> slots_;  // a power of two, so that tickets map to slots by masking
  std::uint64_t head_ = 0, tail_ = 0;
};

}  // namespace holdfast::gate
