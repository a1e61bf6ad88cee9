// What one of a log's places holds, seen from above: for the oracle, which reads what lies there and believes nobody.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/units.h"

namespace holdfast::sim {

class Contents {
 public:
  virtual ~Contents() = default;

  virtual const std::string& name() const = 0;
  // Null where there is none.
  virtual const std::vector<std::byte>* blob(const std::string& blob) const = 0;
  // False where not all of it can be read.
  virtual bool read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) const = 0;
};

}  // namespace holdfast::sim
