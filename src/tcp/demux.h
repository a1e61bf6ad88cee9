// Which connection a segment belongs to: a hash table from 4-tuple to connection. Open addressing with linear probing;
// the hash is keyed, so nobody outside can make tuples collide. Grows by doubling when it is three quarters full.
//
// Threads: one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/prf.h"
#include "tcp/connection.h"
#include "wire/address.h"

namespace holdfast::tcp {

class Demux {
 public:
  // `expected`: connections for which there is room without growing.
  explicit Demux(const Secret& secret, std::size_t expected = 64);

  // The connection is not owned. The tuple must not be in the table yet.
  void insert(const wire::FourTuple& tuple, Connection* connection);
  // nullptr where there is none.
  Connection* find(const wire::FourTuple& tuple) const;
  // True if it was there.
  bool erase(const wire::FourTuple& tuple);
  std::size_t size() const { return size_; }

  // Calls `visit(tuple, connection)` for each, in no particular order. The table must not be changed meanwhile.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.connection != nullptr) visit(slot.tuple, slot.connection);
    }
  }

 private:
  struct Slot {
    wire::FourTuple tuple;
    Connection* connection = nullptr;
  };
  std::size_t home(const wire::FourTuple& tuple) const;
  std::size_t slot_of(const wire::FourTuple& tuple) const;  // where it is, or the free slot where it would be
  void grow();

  Secret secret_;
  std::vector<Slot> slots_;  // a power of two
  std::size_t size_ = 0;
};

}  // namespace holdfast::tcp
