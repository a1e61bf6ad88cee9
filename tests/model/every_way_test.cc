// The N-way handshake holds what docs/handshake.md promises, for every N: all states are explored.
#include <gtest/gtest.h>

#include <set>

#include "model/checker.h"

namespace holdfast::model {
namespace {

class EveryWay : public testing::TestWithParam<int> {};

TEST_P(EveryWay, HoldsInEveryReachableState) {
  for (const Scenario& scenario : scenarios(static_cast<std::uint8_t>(GetParam()), Depth::kQuick)) {
    const Verdict verdict = check(scenario, {});
    EXPECT_TRUE(verdict.ok()) << scenario.name << ": " << to_string(verdict.broken) << "\n" << verdict.ladder;
    if (!scenario.asked && scenario.remembers) continue;  // what comes is refused: nothing changes
    const bool small = scenario.responder.ways.min > GetParam() || scenario.responder.cookies;
    EXPECT_GT(verdict.states, small ? 10U : 40U) << scenario.name;
  }
}

INSTANTIATE_TEST_SUITE_P(N, EveryWay, testing::Range(3, 75), testing::PrintToStringParamName());

TEST(Scenarios, HaveNamesOfTheirOwn) {
  for (const std::uint8_t ways : {std::uint8_t{3}, std::uint8_t{4}, std::uint8_t{5}, std::uint8_t{74}}) {
    for (const Depth depth : {Depth::kQuick, Depth::kFull}) {
      std::set<std::string> names;
      for (const Scenario& scenario : scenarios(ways, depth)) {
        EXPECT_TRUE(names.insert(scenario.name).second) << scenario.name;
      }
    }
  }
}

TEST(Checker, SaysWhenItWasCutShort) {
  const Verdict verdict = check(scenarios(8, Depth::kQuick).front(), {.states = 100});
  EXPECT_FALSE(verdict.complete);
  EXPECT_FALSE(verdict.ok());
  EXPECT_EQ(verdict.broken, Property::kNone);
}

// A long handshake takes N segments: no run without faults is shorter than that, and the search goes deeper.
TEST(Checker, GoesAsDeepAsTheHandshakeIsLong) {
  for (const int ways : {10, 20, 40}) {
    EXPECT_GT(check(scenarios(static_cast<std::uint8_t>(ways), Depth::kQuick).front(), {}).depth, unsigned(2 * ways));
  }
}

// The fault-free runs end with both ESTABLISHED; that is judged before anything else. Here it can't be.
TEST(Checker, NoticesAHandshakeThatNeverComesAbout) {
  Scenario scenario = scenarios(6, Depth::kQuick).front();
  scenario.responder.incarnations = 0;  // answers nobody
  const Verdict verdict = check(scenario, {});
  EXPECT_EQ(verdict.broken, Property::kNominal);
  EXPECT_NE(verdict.ladder.find("the user opens"), std::string::npos) << verdict.ladder;
  EXPECT_NE(verdict.ladder.find("[SYN, step 1/6]"), std::string::npos) << verdict.ladder;
}

}  // namespace
}  // namespace holdfast::model
