#include "wire/seq.h"

#include <gtest/gtest.h>

namespace holdfast::wire {
namespace {

TEST(SeqNum, OrderSurvivesTheWrap) {
  const SeqNum before{0xfffffff0};
  const SeqNum after = before + 0x20;
  EXPECT_EQ(after, SeqNum{0x10});
  EXPECT_LT(before, after);
  EXPECT_GT(after, before);
  EXPECT_LE(before, before);
  EXPECT_EQ(after - before, 0x20U);
  EXPECT_EQ(SeqNum::distance(before, after), -0x20);
  EXPECT_EQ(max(before, after), after);
  EXPECT_EQ(min(before, after), before);
}

TEST(SeqNum, HalfTheSpaceIsAhead) {
  const SeqNum zero{0};
  EXPECT_LT(zero, zero + 0x7fffffff);
  EXPECT_GT(zero, zero + 0x80000001);
}

}  // namespace
}  // namespace holdfast::wire
