#include "lab/handshake.h"

#include <gtest/gtest.h>

namespace holdfast::lab {
namespace {

using std::chrono::milliseconds;

Conditions of(unsigned ways) {
  Conditions conditions;
  conditions.ways = static_cast<std::uint8_t>(ways);
  conditions.delay = milliseconds(5);
  conditions.storage = milliseconds(2);
  conditions.policy = Policy::kBestEffort;
  conditions.roll_call_timeout = milliseconds(20);  // what no log has room for need not last
  return conditions;
}

Outcome run(const Conditions& conditions, std::uint64_t seed = 1) {
  auto outcome = shake_hands(conditions, seed);
  EXPECT_TRUE(outcome) << outcome.error().message;
  return outcome ? *std::move(outcome) : Outcome{};
}

std::vector<std::tuple<Side, Duration, unsigned, bool, std::uint32_t>> traffic(const Outcome& outcome) {
  std::vector<std::tuple<Side, Duration, unsigned, bool, std::uint32_t>> all;
  for (const Passage& p : outcome.passages) {
    all.emplace_back(p.from, p.sent, p.step, p.lost, p.header.options.ways ? p.header.options.ways->nonce : 0);
  }
  return all;
}

TEST(Handshake, EqualSeedsGiveEqualOutcomes) {
  Conditions conditions = of(8);
  conditions.loss = 200'000;
  conditions.jitter = milliseconds(3);
  const Outcome first = run(conditions, 7);
  EXPECT_EQ(traffic(first), traffic(run(conditions, 7)));
  EXPECT_NE(traffic(first), traffic(run(conditions, 8)));
}

TEST(Handshake, IsExactlyNSegmentsWhereNothingIsLost) {
  for (unsigned n = wire::kMinWays; n <= wire::kMaxWays; ++n) {
    SCOPED_TRACE(n);
    const Outcome outcome = run(of(n));
    ASSERT_TRUE(outcome.established());
    EXPECT_EQ(outcome.segments, n);
    EXPECT_EQ(outcome.repeated, 0U);
    ASSERT_GE(outcome.passages.size(), n);
    for (unsigned step = 1; step <= n; ++step) {
      const Passage& passage = outcome.passages[step - 1];
      EXPECT_EQ(passage.step, step);
      EXPECT_EQ(passage.from, step % 2 == 1 ? Side::kInitiator : Side::kResponder);
      EXPECT_EQ(passage.header.options.ways.has_value(), n > wire::kMinWays);
    }
    // The last one's sender is established first, by what the last step and its storing take.
    const Side last = n % 2 == 1 ? Side::kInitiator : Side::kResponder;
    if (n == 3) {  // RFC 9293: by the SYN-ACK; that is stored, then its ACK leaves
      EXPECT_EQ(*outcome.of(last).established, outcome.passages[1].arrived);
    } else {
      EXPECT_EQ(*outcome.of(last).established, outcome.passages[n - 1].sent);
    }
    EXPECT_GT(*outcome.of(other(last)).established, *outcome.of(last).established);
    EXPECT_EQ(outcome.half_open, *outcome.of(other(last)).established - *outcome.of(last).established);
  }
}

TEST(Handshake, CertifiesWhatItsStepsAskForWhereThereAreDirectoriesEnough) {
  for (unsigned n = 4; n <= wire::kMaxWays; ++n) {
    Conditions conditions = of(n);
    if (conditions.places() <
        std::max(conditions.most_asked(Side::kInitiator), conditions.most_asked(Side::kResponder))) {
      break;  // no log has so many
    }
    SCOPED_TRACE(n);
    conditions.policy = Policy::kStrict;
    conditions.roll_call_timeout = std::chrono::seconds(1);
    const Outcome outcome = run(conditions);
    ASSERT_TRUE(outcome.established());
    for (const Side side : {Side::kInitiator, Side::kResponder}) {
      const Certificate& certificate = outcome.of(side).certificate;
      EXPECT_EQ(certificate.asked, conditions.most_asked(side));
      EXPECT_GE(certificate.copies, certificate.asked);
      EXPECT_EQ(certificate.short_steps, 0U);
    }
  }
}

TEST(Handshake, TooFewDirectoriesAreSaidToBeShort) {
  Conditions conditions = of(8);
  conditions.directories = 1;
  const Outcome outcome = run(conditions);
  ASSERT_TRUE(outcome.established());
  EXPECT_EQ(outcome.of(Side::kInitiator).certificate.short_steps, 1U);  // step 7 asks for 2
  EXPECT_EQ(outcome.of(Side::kResponder).certificate.short_steps, 2U);  // 6 and 8 ask for 2 and 3
  EXPECT_EQ(outcome.of(Side::kResponder).certificate.copies, 1U);
  EXPECT_EQ(outcome.segments, 8U);
}

TEST(Handshake, TooFewDirectoriesAreNoConnectionWhereThePolicyIsStrict) {
  Conditions conditions = of(8);
  conditions.directories = 1;
  conditions.policy = Policy::kStrict;
  const Outcome outcome = run(conditions);
  EXPECT_FALSE(outcome.established());
  EXPECT_EQ(outcome.of(Side::kInitiator).closed, tcp::CloseReason::kTooFewCopies);
}

TEST(Handshake, SidesWithoutStorageCertifyNothing) {
  Conditions conditions = of(8);
  conditions.responder_stores = false;
  conditions.policy = Policy::kStrict;
  const Outcome outcome = run(conditions);
  ASSERT_TRUE(outcome.established());
  EXPECT_EQ(outcome.of(Side::kResponder).certificate.asked, 0U);
  EXPECT_GE(outcome.of(Side::kInitiator).certificate.copies, 2U);
}

TEST(Handshake, MeasuresThePathExactlyWhereNothingBlursIt) {
  for (const unsigned n : {3U, 4U, 16U}) {
    Conditions conditions = of(n);
    conditions.storage = Duration::zero();
    const Outcome outcome = run(conditions);
    for (const Side side : {Side::kInitiator, Side::kResponder}) {
      EXPECT_EQ(outcome.of(side).smoothed_rtt, conditions.round_trip()) << n;
    }
  }
}

// Three ways leave the initiator ESTABLISHED for ever where its peer has given up; more ways end that.
TEST(Handshake, LeavesNobodyHalfOpenForEverWithMoreThanThreeWays) {
  std::array<unsigned, 2> lasting{};
  for (const unsigned n : {3U, 5U}) {
    Conditions conditions = of(n);
    conditions.loss = 650'000;
    for (std::uint64_t seed = 0; seed < 150; ++seed) lasting[n == 5] += run(conditions, seed).lasting ? 1 : 0;
  }
  EXPECT_GT(lasting[0], 0U);
  EXPECT_EQ(lasting[1], 0U);
}

TEST(Handshake, MoreDirectoriesThanALogCanHaveAreRefused) {
  Conditions conditions = of(5);
  conditions.directories = log::kMaxReplicas + 1;
  const auto outcome = shake_hands(conditions, 1);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, Error::Kind::kUsage);
}

}  // namespace
}  // namespace holdfast::lab
