// What a stream holds: each byte follows from the stream's key and its offset, so that whoever sees a byte anywhere (on
// the wire, in the log, at an application) can tell whether it is the right one, without keeping a copy.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace holdfast::sim {

struct StreamContent {
  std::uint64_t key = 0;

  std::byte at(std::uint64_t offset) const;
  void fill(std::uint64_t offset, MutableBytes bytes) const;
  // How many bytes from the first on are right; bytes.size() when all are.
  std::size_t matching(std::uint64_t offset, Bytes bytes) const;
};

}  // namespace holdfast::sim
