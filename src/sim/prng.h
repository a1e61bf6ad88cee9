// The simulator's own random numbers: xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64. Not the standard
// library's distributions: those differ between implementations, and a seed must replay everywhere.
//
// Each part of a world draws from a generator of its own, derived from the seed and the part's name, so that a new draw
// in one part does not change the others.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/units.h"

namespace holdfast::sim {

// Next value of a splitmix64 sequence; also a good mixer of one word.
std::uint64_t splitmix64(std::uint64_t& state);
// One word, mixed.
std::uint64_t mixed(std::uint64_t value);

class Prng {
 public:
  explicit Prng(std::uint64_t seed);
  // The generator of one part of the world.
  Prng(std::uint64_t seed, std::string_view part);

  std::uint64_t next();
  // Uniform in [0, bound), by the high half of a 64 x 64 product; bound > 0.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  Duration between(Duration low, Duration high);
  // Between low and high, each order of magnitude as likely as the others. low > 0.
  std::uint64_t between_log(std::uint64_t low, std::uint64_t high);
  Duration between_log(Duration low, Duration high);
  // True once in `n` times on average; never for 0.
  bool one_in(std::uint64_t n) { return n != 0 && below(n) == 0; }
  // True with a probability in parts of a million.
  bool ppm(std::uint32_t parts) { return parts != 0 && below(1'000'000) < parts; }
  void fill(MutableBytes bytes);

  template <class Container>
  auto& pick(Container& from) {
    return from[static_cast<std::size_t>(below(from.size()))];
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace holdfast::sim
