#include "log/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "log/policy.h"

namespace holdfast::log {
namespace {

TEST(Quorum, DefaultsToAllButOneOfThreeOrMore) {
  EXPECT_EQ(default_stored_on(1), 1U);
  EXPECT_EQ(default_stored_on(2), 2U);
  EXPECT_EQ(default_stored_on(3), 2U);
  EXPECT_EQ(default_stored_on(5), 4U);
}

// By looking at all sets of locations.
TEST(Quorum, PromisesMeetEachOtherAndEveryDurableBatch) {
  for (unsigned replicas = 1; replicas <= 7; ++replicas) {
    for (unsigned stored_on = 1; stored_on <= replicas; ++stored_on) {
      const unsigned promise = promise_quorum(replicas, stored_on);
      ASSERT_LE(promise, replicas);
      for (unsigned a = 0; a < 1U << replicas; ++a) {
        for (unsigned b = 0; b < 1U << replicas; ++b) {
          const auto size = [](unsigned set) { return static_cast<unsigned>(std::popcount(set)); };
          if (size(a) == promise && size(b) == promise) {
            ASSERT_NE(a & b, 0U) << replicas << " " << stored_on;
          }
          if (size(a) == promise && size(b) == stored_on) {
            ASSERT_NE(a & b, 0U) << replicas << " " << stored_on;
          }
          const bool knows_members = size(a) == membership_quorum(replicas, stored_on);
          if (knows_members && size(b) == promise) {
            ASSERT_NE(a & b, 0U) << replicas << " " << stored_on;
          }
          if (knows_members && size(b) == stored_on) {
            ASSERT_NE(a & b, 0U) << replicas << " " << stored_on;
          }
        }
      }
    }
  }
}

TEST(Quorum, DurableIsTheWthHighestPrefix) {
  std::vector<Lsn> prefixes = {Lsn{7}, Lsn{3}, Lsn{9}};
  EXPECT_EQ(durable_on(prefixes, 1), Lsn{9});
  EXPECT_EQ(durable_on(prefixes, 2), Lsn{7});
  EXPECT_EQ(durable_on(prefixes, 3), Lsn{3});
  EXPECT_EQ(durable_on(prefixes, 4), Lsn{0});
}

TEST(Prefix, GrowsOnlyWithoutHoles) {
  std::array<std::uint64_t, 6> order = {1, 2, 3, 4, 5, 6};
  do {
    Prefix prefix(Lsn{10});
    std::vector<bool> done(7, false);
    for (const std::uint64_t n : order) {
      prefix.complete(Lsn{10 + n});
      done[n] = true;
      std::uint64_t expected = 0;
      while (expected < 6 && done[expected + 1]) ++expected;
      ASSERT_EQ(prefix.value(), Lsn{10 + expected});
    }
  } while (std::ranges::next_permutation(order).found);
}

TEST(Prefix, SpansSixtyFourBatches) {
  Prefix prefix;
  for (std::uint64_t n = 64; n >= 1; --n) prefix.complete(Lsn{n});
  EXPECT_EQ(prefix.value(), Lsn{64});
  prefix.complete(Lsn{65});
  EXPECT_EQ(prefix.value(), Lsn{65});
}

TEST(Policy, FullBatchesLeaveWhileThereIsRoomInThePipeline) {
  IssueState state{.in_flight = 3, .max_in_flight = 4, .sealed = 1, .open_wanted = true, .full_bytes = 512};
  EXPECT_EQ(decide_issue(state), IssueDecision::kIssueSealed);
  state.in_flight = 4;
  EXPECT_EQ(decide_issue(state), IssueDecision::kNothing);
}

TEST(Policy, AQuarterOfABatchIsWorthAWriteOfItsOwn) {
  IssueState state{.in_flight = 3, .max_in_flight = 4, .open_wanted = true, .open_bytes = 128, .full_bytes = 512};
  EXPECT_EQ(decide_issue(state), IssueDecision::kSealAndIssue);
  state.open_bytes = 127;
  EXPECT_EQ(decide_issue(state), IssueDecision::kNothing);
  state.open_bytes = 511;
  state.in_flight = 4;
  EXPECT_EQ(decide_issue(state), IssueDecision::kNothing);
}

TEST(Policy, ASmallBatchLeavesOnlyWhenNothingIsInFlight) {
  IssueState state{
      .in_flight = 0, .max_in_flight = 4, .open_wanted = true, .flush = true, .open_bytes = 64, .full_bytes = 512};
  EXPECT_EQ(decide_issue(state), IssueDecision::kSealAndIssue);
  state.flush = false;
  EXPECT_EQ(decide_issue(state), IssueDecision::kNothing);
  state.flush = true;
  state.in_flight = 1;
  EXPECT_EQ(decide_issue(state), IssueDecision::kNothing);
  state.in_flight = 0;
  state.open_wanted = false;
  EXPECT_EQ(decide_issue(state), IssueDecision::kNothing);
}

}  // namespace
}  // namespace holdfast::log
