// From pairs of numbers to numbers. Open addressing, nothing is taken out.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "model/hash.h"

namespace holdfast::model {

class PairMap {
 public:
  // The number that belongs to the pair, a new one (the count of those before it) where there was none.
  std::pair<std::uint32_t, bool> number(std::uint32_t a, std::uint32_t b) {
    const std::uint64_t key = (std::uint64_t{a} << 32 | b) + 1;
    std::size_t at = place(key);
    if (slots_[at].key == key) return {slots_[at].value, false};
    if ((count_ + 1) * 2 > slots_.size()) {
      grow();
      at = place(key);
    }
    slots_[at] = {key, count_};
    return {count_++, true};
  }
  std::size_t size() const { return count_; }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t value = 0;
  };
  std::size_t place(std::uint64_t key) const {
    std::size_t at = Hash().add(key).value() & (slots_.size() - 1);
    while (slots_[at].key != 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key != 0) slots_[place(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1024);
  std::uint32_t count_ = 0;
};

}  // namespace holdfast::model
