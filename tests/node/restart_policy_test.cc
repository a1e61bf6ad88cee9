#include "node/restart_policy.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

using namespace std::chrono_literals;
constexpr Duration kNeverReady{-1};

TEST(RestartPolicy, ANodeThatWorkedIsRestartedAtOnce) {
  RestartPolicy policy;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(policy.delay_after(300ms, false), 0s);
}

TEST(RestartPolicy, TheFirstFailureIsRestartedAtOnce) {
  RestartPolicy policy;
  EXPECT_EQ(policy.delay_after(kNeverReady, false), 0s);
}

TEST(RestartPolicy, FailuresInARowWaitTwiceAsLongUpToFiveSeconds) {
  RestartPolicy policy;
  (void)policy.delay_after(kNeverReady, false);
  for (const auto expected : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
    EXPECT_EQ(policy.delay_after(kNeverReady, false), expected);
  }
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(policy.delay_after(1ms, false), 5s);
}

TEST(RestartPolicy, ANodeThatWorkedEndsTheRow) {
  RestartPolicy policy;
  (void)policy.delay_after(kNeverReady, false);
  (void)policy.delay_after(kNeverReady, false);
  EXPECT_EQ(policy.delay_after(1s, false), 0s);
  EXPECT_EQ(policy.failures(), 0U);
  EXPECT_EQ(policy.delay_after(kNeverReady, false), 0s);
}

TEST(RestartPolicy, SigkillIsNoFailureAndMendsNone) {
  RestartPolicy policy;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(policy.delay_after(kNeverReady, true), 0s);
  EXPECT_EQ(policy.failures(), 0U);
  (void)policy.delay_after(kNeverReady, false);
  EXPECT_EQ(policy.delay_after(kNeverReady, true), 0s);
  EXPECT_EQ(policy.delay_after(kNeverReady, false), 100ms);
}

}  // namespace
}  // namespace holdfast::node
