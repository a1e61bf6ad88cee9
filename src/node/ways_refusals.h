// SYNs that were refused because the service wants more ways, told at most once a second: anybody may send them, at any
// rate, and whoever sends one sees a reset. Each time the number of them, and the latest.
#pragma once

#include <cstdint>
#include <optional>

#include "base/units.h"
#include "wire/address.h"

namespace holdfast::node {

class WaysRefusals {
 public:
  struct News {
    std::uint64_t count = 0;  // since the last time
    wire::FourTuple tuple;    // of the latest, as the next two are
    std::uint8_t proposed = 0;
    std::uint8_t least = 0;
  };

  void note(const wire::FourTuple& tuple, std::uint8_t proposed, std::uint8_t least);
  // Nothing where there is none, or it is too early for more.
  std::optional<News> take(Time now);

 private:
  News news_;
  Time not_before_{};
};

}  // namespace holdfast::node
