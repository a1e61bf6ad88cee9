#include "tcp/demux.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.h"
#include "tcp/isn.h"

namespace holdfast::tcp {

Demux::Demux(const Secret& secret, std::size_t expected)
    : secret_(secret), slots_(std::bit_ceil(std::max<std::size_t>(16, expected * 4 / 3 + 1))) {}

std::size_t Demux::home(const wire::FourTuple& tuple) const { return tuple_hash(secret_, tuple) & (slots_.size() - 1); }

std::size_t Demux::slot_of(const wire::FourTuple& tuple) const {
  std::size_t at = home(tuple);
  while (slots_[at].connection != nullptr && slots_[at].tuple != tuple) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void Demux::insert(const wire::FourTuple& tuple, Connection* connection) {
  HF_ASSERT(connection != nullptr);
  if ((size_ + 1) * 4 > slots_.size() * 3) grow();
  Slot& slot = slots_[slot_of(tuple)];
  HF_ASSERT(slot.connection == nullptr);
  slot = Slot{tuple, connection};
  ++size_;
}

Connection* Demux::find(const wire::FourTuple& tuple) const { return slots_[slot_of(tuple)].connection; }

bool Demux::erase(const wire::FourTuple& tuple) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = slot_of(tuple);
  if (slots_[hole].connection == nullptr) return false;
  slots_[hole] = Slot{};
  --size_;
  // Close the hole: whoever probed past it moves up.
  for (std::size_t at = (hole + 1) & mask; slots_[at].connection != nullptr; at = (at + 1) & mask) {
    const std::size_t distance_home = (at - home(slots_[at].tuple)) & mask;
    if (distance_home < ((at - hole) & mask)) continue;
    slots_[hole] = std::exchange(slots_[at], Slot{});
    hole = at;
  }
  return true;
}

void Demux::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.connection != nullptr) slots_[slot_of(slot.tuple)] = slot;
  }
}

}  // namespace holdfast::tcp
