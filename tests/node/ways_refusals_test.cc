#include "node/ways_refusals.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

using namespace std::chrono_literals;

TEST(WaysRefusals, AreToldOnceASecondWithTheirNumber) {
  WaysRefusals refusals;
  const wire::FourTuple one{{{1}, wire::Port{7000}}, {{2}, wire::Port{1}}};
  const wire::FourTuple other{{{1}, wire::Port{7000}}, {{2}, wire::Port{2}}};
  const Time now{};
  EXPECT_FALSE(refusals.take(now));
  refusals.note(one, 3, 9);
  EXPECT_EQ(refusals.take(now)->count, 1U);
  EXPECT_FALSE(refusals.take(now + 2s)) << "told already";
  refusals.note(one, 3, 9);
  refusals.note(other, 8, 9);
  EXPECT_FALSE(refusals.take(now + 999ms));
  const auto news = refusals.take(now + 1s);
  ASSERT_TRUE(news);
  EXPECT_EQ(news->count, 2U);
  EXPECT_EQ(news->tuple, other);
  EXPECT_EQ(news->proposed, 8);
  EXPECT_EQ(news->least, 9);
}

}  // namespace
}  // namespace holdfast::node
