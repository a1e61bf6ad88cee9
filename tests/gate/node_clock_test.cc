#include "gate/node_clock.h"

#include <gtest/gtest.h>

namespace holdfast::gate {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kSecond = 1'000'000'000, kStart = 1000 * kSecond;

TEST(NodeClock, StandsStillAtTheStoredCeilingAndGoesOnFromThere) {
  const Time begin{5s};
  NodeClock clock(kStart, begin);
  const std::uint64_t ceiling = kStart + 2 * kSecond;
  EXPECT_EQ(clock.shown(begin + 1s, ceiling), kStart + kSecond);
  EXPECT_FALSE(clock.stood_at(begin + 1s));
  EXPECT_EQ(clock.shown(begin + 100s, ceiling), ceiling);
  clock.stand_at(ceiling, begin + 100s);
  EXPECT_EQ(clock.ceiling_to_promise(begin + 100s), ceiling + NodeClock::kAhead);
  const std::uint64_t next = clock.ceiling_to_promise(begin + 100s);
  EXPECT_EQ(clock.shown(begin + 100s, next), ceiling) << "no leap";
  EXPECT_EQ(clock.shown(begin + 101s, next), ceiling + kSecond);
  EXPECT_EQ(clock.stood_at(begin + 101s), ceiling);
  EXPECT_EQ(clock.start(), kStart);
}

TEST(NodeClock, WhereItStoodIsForgottenBefore32BitsOfMillisecondsAreAmbiguous) {
  NodeClock clock(kStart, Time{});
  clock.stand_at(kStart + kSecond, Time{10s});
  EXPECT_TRUE(clock.stood_at(Time{10s} + 23 * 24h));
  EXPECT_FALSE(clock.stood_at(Time{10s} + 25 * 24h));
}

TEST(NodeClock, DoesNotStandWhereNothingWasEverStored) {
  NodeClock clock(kStart, Time{});
  clock.stand_at(0, Time{10s});
  EXPECT_EQ(clock.raw(Time{10s}), kStart + 10 * kSecond);
}

}  // namespace
}  // namespace holdfast::gate
