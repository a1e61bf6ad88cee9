// RFC 6675's scoreboard against a model that knows each byte.
#include "tcp/scoreboard.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace holdfast::tcp::test {
namespace {

constexpr std::uint32_t kMss = 100;

StreamOffset at(std::uint64_t n) { return StreamOffset{n}; }

class ScoreboardTest : public ::testing::Test {
 protected:
  Scoreboard board;
  void SetUp() override { board.add(at(0), at(1000), Time{}, false); }
};

TEST_F(ScoreboardTest, NothingIsLostUntilEnoughIsSackedAbove) {
  EXPECT_EQ(board.sack(at(300), at(400), kMss).news, 100U);
  EXPECT_FALSE(board.mark_lost_by_sack(kMss));
  board.sack(at(400), at(500), kMss);
  EXPECT_FALSE(board.mark_lost_by_sack(kMss)) << "two segments exactly";
  board.sack(at(500), at(600), kMss);
  EXPECT_TRUE(board.mark_lost_by_sack(kMss));
  EXPECT_EQ(board.next_lost()->begin, at(0));
  EXPECT_EQ(board.next_lost()->end, at(300));
  EXPECT_EQ(board.pipe(), 400U);
}

TEST_F(ScoreboardTest, ThreeSeparateRangesAboveAlsoMeanLost) {
  board.sack(at(100), at(200), kMss);
  board.sack(at(300), at(400), kMss);
  EXPECT_FALSE(board.mark_lost_by_sack(kMss * 10));
  board.sack(at(500), at(600), kMss);
  EXPECT_TRUE(board.mark_lost_by_sack(kMss * 10));
  EXPECT_EQ(board.next_lost()->end, at(100)) << "only what has all three above";
}

TEST_F(ScoreboardTest, RetransmissionIsInFlightAgain) {
  board.sack(at(300), at(1000), kMss);
  board.mark_lost_by_sack(kMss);
  EXPECT_EQ(board.pipe(), 0U);
  board.retransmitted(at(0), at(100), Time{});
  EXPECT_EQ(board.pipe(), 100U);
  EXPECT_EQ(board.next_lost()->begin, at(100));
  board.acknowledge(at(100));
  EXPECT_EQ(board.pipe(), 0U);
}

TEST_F(ScoreboardTest, WhatIsAllLostGoesAgainInOnePiece) {
  board.add(at(1000), at(1003), Time{}, false);
  board.add(at(1003), at(1007), Time{}, false);
  board.sack(at(400), at(500), kMss);
  board.mark_all_lost();
  EXPECT_EQ(board.next_lost()->end, at(400));
  board.retransmitted(at(0), at(400), Time{});
  EXPECT_EQ(board.next_lost()->begin, at(500));
  EXPECT_EQ(board.next_lost()->end, at(1007));
}

TEST_F(ScoreboardTest, SmallSegmentsThatWereMergedAreSackedByTheirOwnEdges) {
  Scoreboard small;
  for (std::uint64_t begin = 0; begin < 50; begin += 10) small.add(at(begin), at(begin + 10), Time{}, false);
  small.mark_all_lost();
  EXPECT_EQ(small.sack(at(10), at(50), kMss).news, 40U);
  EXPECT_EQ(small.next_lost()->end, at(10));
}

TEST_F(ScoreboardTest, SackIsRoundedInwardsToWholeSegments) {
  EXPECT_EQ(board.sack(at(150), at(380), kMss).news, 100U);
  EXPECT_EQ(board.sack(at(210), at(290), kMss).news, 0U);
  EXPECT_EQ(board.sacked(), 100U);
}

TEST_F(ScoreboardTest, LastSegmentMayBeShort) {
  board.add(at(1000), at(1030), Time{}, false);
  EXPECT_EQ(board.sack(at(1000), at(1030), kMss).news, 30U);
}

TEST_F(ScoreboardTest, SampleIsOfTheLastRunSentOnce) {
  board.add(at(1000), at(1100), Time{} + std::chrono::seconds(5), false);
  EXPECT_EQ(board.acknowledge(at(1100)).sent, Time{} + std::chrono::seconds(5));
  board.add(at(1100), at(1200), Time{}, true);
  EXPECT_FALSE(board.acknowledge(at(1200)).sent);
}

TEST_F(ScoreboardTest, AckUpToASackedRangeIsReneging) {
  board.sack(at(200), at(400), kMss);
  EXPECT_FALSE(board.acknowledge(at(100)).head_is_sacked);
  EXPECT_TRUE(board.acknowledge(at(200)).head_is_sacked);
}

// Random operations; the sums must be those of a model with a flag for every byte.
TEST(ScoreboardModel, SumsAreRightAfterAnyHistory) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Scoreboard board;
    struct Byte {
      bool sacked = false, lost = false, again = false;
    };
    std::vector<Byte> model;
    std::uint64_t una = 0;
    for (int step = 0; step < 200; ++step) {
      const std::uint64_t nxt = model.size();
      switch (random() % 6) {
        case 0: {
          const std::uint64_t n = 1 + random() % 3000;
          board.add(at(nxt), at(nxt + n), Time{}, false);
          model.resize(nxt + n);
          break;
        }
        case 1:
          una += random() % (nxt - una + 1) / 3;
          board.acknowledge(at(una));
          break;
        case 2: {
          if (nxt == una) break;
          const std::uint64_t a = una + random() % (nxt - una), b = a + 1 + random() % (nxt - a);
          // Whole bytes: every boundary is allowed.
          std::uint64_t news = 0;
          for (std::uint64_t i = a; i < b; ++i) {
            if (!model[i].sacked) ++news;
            model[i] = Byte{.sacked = true};
          }
          ASSERT_EQ(board.sack(at(a), at(b), 1).news, news);
          break;
        }
        case 3:
          board.mark_all_lost();
          for (std::uint64_t i = una; i < nxt; ++i) {
            if (!model[i].sacked) model[i] = Byte{.lost = true};
          }
          break;
        case 4:
          if (const auto lost = board.next_lost()) {
            const std::uint64_t n = 1 + random() % (lost->end - lost->begin);
            board.retransmitted(lost->begin, lost->begin + n, Time{});
            for (std::uint64_t i = 0; i < n; ++i) {
              ASSERT_TRUE(model[lost->begin.value + i].lost && !model[lost->begin.value + i].again);
              model[lost->begin.value + i].again = true;
            }
          }
          break;
        default:
          if (random() % 4 == 0) {
            board.forget_sacks();
            for (std::uint64_t i = una; i < nxt; ++i) {
              if (model[i].sacked) model[i] = Byte{};
            }
          }
      }
      std::uint64_t pipe = 0, sacked = 0;
      for (std::uint64_t i = una; i < model.size(); ++i) {
        sacked += model[i].sacked;
        pipe += !model[i].sacked && (!model[i].lost || model[i].again);
      }
      ASSERT_EQ(board.pipe(), pipe);
      ASSERT_EQ(board.sacked(), sacked);
      ASSERT_EQ(board.empty(), una == model.size());
    }
  }
}

}  // namespace
}  // namespace holdfast::tcp::test
