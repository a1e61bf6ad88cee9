#include "lab/ladder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "lab/sweep.h"
#include "xml.h"

namespace holdfast::lab {
namespace {

using ::testing::HasSubstr;

Ladder ladder(unsigned ways, std::uint32_t loss = 0, std::uint64_t seed = 1) {
  Ladder result;
  result.conditions.ways = static_cast<std::uint8_t>(ways);
  result.conditions.loss = loss;
  result.conditions.delay = std::chrono::milliseconds(20);
  result.conditions.storage = std::chrono::milliseconds(5);
  result.seed = seed;
  auto outcome = shake_hands(result.conditions, seed_of(result.conditions, seed, 0));
  EXPECT_TRUE(outcome);
  if (outcome) result.outcome = *std::move(outcome);
  return result;
}

// Made by `holdfast lab handshake --ladder 5`.
TEST(LadderText, OfFiveWaysIsAsItWas) {
  std::ifstream file(HOLDFAST_GOLDEN "ladder-5.txt");
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(ladder(5).text(), golden.str());
}

TEST(LadderText, ShowsEveryStepOfEveryHandshake) {
  for (const unsigned n : {3U, 5U, 8U, 35U}) {
    const Ladder one = ladder(n);
    const std::string text = one.text();
    for (unsigned step = 1; step <= n; ++step) {
      const std::string kind = step == 1 ? "SYN" : step == 2 ? "SYN-ACK" : "ACK";
      EXPECT_THAT(text, HasSubstr(fmt::format("── {} {}", step, kind))) << n;
    }
    EXPECT_EQ(xml_error(one.svg()), "");
  }
}

TEST(LadderText, ShowsWhatWasLostAndWhatWasRepeated) {
  for (std::uint64_t seed = 1;; ++seed) {
    ASSERT_LT(seed, 100U);
    const Ladder lossy = ladder(8, 200'000, seed);
    if (lossy.outcome.lost == 0 || lossy.outcome.repeated == 0) continue;
    EXPECT_THAT(lossy.text(), HasSubstr("╳"));
    EXPECT_THAT(lossy.text(), HasSubstr("(again)"));
    EXPECT_THAT(lossy.svg(), HasSubstr("LOST"));
    EXPECT_EQ(xml_error(lossy.svg()), "");
    return;
  }
}

TEST(LadderText, ShowsShort) {
  Ladder few;
  few.conditions.ways = 8;
  few.conditions.delay = std::chrono::milliseconds(20);
  few.conditions.directories = 1;
  few.conditions.policy = Policy::kBestEffort;
  auto outcome = shake_hands(few.conditions, 1);
  ASSERT_TRUE(outcome);
  few.outcome = *std::move(outcome);
  EXPECT_THAT(few.text(), HasSubstr("1 copy SHORT"));
}

TEST(LadderText, SaysWhyThereIsNoConnection) {
  Ladder few;
  few.conditions.ways = 8;
  few.conditions.delay = std::chrono::milliseconds(20);
  few.conditions.directories = 1;
  auto outcome = shake_hands(few.conditions, 1);
  ASSERT_TRUE(outcome);
  few.outcome = *std::move(outcome);
  EXPECT_THAT(few.text(),
              HasSubstr("No connection: too few copies: step 6 asks the responder for 2, and it certified 1. It was"));
  EXPECT_THAT(few.svg(), HasSubstr("too few copies"));
}

TEST(LadderText, SaysWhichStepWasNotAnswered) {
  Ladder deaf;
  deaf.conditions.ways = 5;
  deaf.conditions.loss = 1'000'000;
  auto outcome = shake_hands(deaf.conditions, 1);
  ASSERT_TRUE(outcome);
  deaf.outcome = *std::move(outcome);
  EXPECT_THAT(deaf.ending(), HasSubstr("No connection: timed out: nothing answered the initiator's step 1. It was"));
}

}  // namespace
}  // namespace holdfast::lab
