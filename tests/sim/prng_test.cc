#include "sim/prng.h"

#include <gtest/gtest.h>

#include <array>

namespace holdfast::sim {
namespace {

// Reference values of Vigna's splitmix64.c, seed 1234567.
TEST(Prng, SplitmixIsThePublishedOne) {
  std::uint64_t state = 1234567;
  EXPECT_EQ(splitmix64(state), 6457827717110365317ULL);
  EXPECT_EQ(splitmix64(state), 3203168211198807973ULL);
  EXPECT_EQ(splitmix64(state), 9817491932198370423ULL);
}

TEST(Prng, DrawsOfOneSeedNeverChange) {
  Prng prng(42);
  const std::array<std::uint64_t, 3> first = {prng.next(), prng.next(), prng.next()};
  Prng again(42);
  for (const std::uint64_t value : first) EXPECT_EQ(again.next(), value);
  Prng other(43);
  EXPECT_NE(other.next(), first[0]);
}

TEST(Prng, PartsOfOneSeedDrawDifferently) {
  Prng wire(42, "wire"), disk(42, "disk");
  EXPECT_NE(wire.next(), disk.next());
}

TEST(Prng, DrawsStayWithinTheirBounds) {
  Prng prng(7);
  std::array<unsigned, 10> seen{};
  for (int i = 0; i < 10000; ++i) {
    ++seen[prng.below(10)];
    const std::uint64_t between = prng.between(5, 9);
    ASSERT_TRUE(between >= 5 && between <= 9);
    const std::uint64_t log = prng.between_log(3, 1000);
    ASSERT_TRUE(log >= 3 && log <= 1000);
  }
  for (const unsigned count : seen) EXPECT_GT(count, 800U);
}

}  // namespace
}  // namespace holdfast::sim
