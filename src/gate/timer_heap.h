// Connections by deadline: a binary heap with positions, lazy towards later deadlines (an entry that comes up early is
// put back), so that the common move, pushing a retransmission timer further out, costs nothing.
#pragma once

#include <vector>

#include "gate/entry.h"

namespace holdfast::gate {

class TimerHeap {
 public:
  static constexpr std::size_t kNowhere = ~std::size_t{0};

  Time next() const { return heap_.empty() ? kNever : heap_.front()->timer; }

  // The entry's deadline is `at` now.
  void set(Entry& entry, Time at) {
    if (entry.timer_slot == kNowhere) {
      if (at == kNever) return;
      entry.timer = at;
      entry.timer_slot = heap_.size();
      heap_.push_back(&entry);
      up(entry.timer_slot);
    } else if (at < entry.timer) {
      entry.timer = at;
      up(entry.timer_slot);
    }
  }
  // The entry whose key has come, taken out of the heap; null where none has.
  Entry* pop_due(Time now) {
    if (heap_.empty() || heap_.front()->timer > now) return nullptr;
    Entry* entry = heap_.front();
    erase(*entry);
    return entry;
  }
  void erase(Entry& entry) {
    const std::size_t slot = entry.timer_slot;
    if (slot == kNowhere) return;
    Entry* last = heap_.back();
    heap_.pop_back();
    entry.timer_slot = kNowhere;
    entry.timer = kNever;
    if (last == &entry) return;
    place(slot, last);
    up(slot);
    down(last->timer_slot);
  }

 private:
  void place(std::size_t slot, Entry* entry) {
    heap_[slot] = entry;
    entry->timer_slot = slot;
  }
  void up(std::size_t slot) {
    while (slot > 0) {
      const std::size_t parent = (slot - 1) / 2;
      if (heap_[parent]->timer <= heap_[slot]->timer) return;
      swap(slot, parent);
      slot = parent;
    }
  }
  void down(std::size_t slot) {
    for (;;) {
      std::size_t least = slot;
      for (std::size_t child = 2 * slot + 1; child <= 2 * slot + 2 && child < heap_.size(); ++child) {
        if (heap_[child]->timer < heap_[least]->timer) least = child;
      }
      if (least == slot) return;
      swap(slot, least);
      slot = least;
    }
  }
  void swap(std::size_t a, std::size_t b) {
    Entry* x = heap_[a];
    Entry* y = heap_[b];
    place(a, y);
    place(b, x);
  }

  std::vector<Entry*> heap_;
};

}  // namespace holdfast::gate
