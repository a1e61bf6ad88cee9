// The parts that can be tried alone: round-trip times, congestion control, windows, table, listener, numbers.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>

#include "endpoint.h"
#include "tcp/challenge.h"
#include "tcp/congestion/congestion.h"
#include "tcp/demux.h"
#include "tcp/isn.h"
#include "tcp/listener.h"
#include "tcp/receive_window.h"
#include "tcp/rtt.h"
#include "tcp/send_buffer.h"

namespace holdfast::tcp::test {
namespace {

using namespace std::chrono_literals;

// ---- RFC 6298 ----

TEST(Rtt, BeginsWithTheInitialTimeOut) { EXPECT_EQ(RttEstimator(Config{}).rto(), 1s); }

TEST(Rtt, FirstSampleSetsBothEstimates) {
  RttEstimator rtt{Config{}};
  rtt.sample(100ms);
  EXPECT_EQ(rtt.smoothed(), 100ms);
  EXPECT_EQ(rtt.rto(), 300ms);  // SRTT + 4 * RTTVAR, RTTVAR = R/2
}

TEST(Rtt, LaterSamplesAreWeighed) {
  RttEstimator rtt{Config{}};
  rtt.sample(100ms);
  rtt.sample(200ms);
  EXPECT_EQ(rtt.smoothed(), 112'500us);            // 7/8 R + 1/8 R'
  EXPECT_EQ(rtt.rto(), 112'500us + 4 * 62'500us);  // 3/4 * 50 + 1/4 * 100
}

TEST(Rtt, StaysWithinItsBounds) {
  RttEstimator rtt{Config{}};
  rtt.sample(10us);
  EXPECT_EQ(rtt.rto(), 200ms);
  for (int i = 0; i < 40; ++i) rtt.back_off();
  EXPECT_EQ(rtt.rto(), 60s);
  rtt.sample(10us);
  EXPECT_EQ(rtt.rto(), 200ms) << "a sample ends the back-off";
}

// ---- Congestion control ----

class CongestionTest : public ::testing::TestWithParam<CongestionControl> {
 protected:
  std::unique_ptr<Congestion> cc = make_congestion(GetParam(), 1000, 10'000);
};

TEST_P(CongestionTest, SlowStartDoublesAWindow) {
  cc->on_ack(10'000, 10ms, Time{});
  EXPECT_EQ(cc->cwnd(), 20'000U);
}

TEST_P(CongestionTest, OneStretchAckGrowsAsManySmallOnesDo) {
  const auto other = make_congestion(GetParam(), 1000, 10'000);
  cc->on_ack(64'000, 10ms, Time{});
  for (int i = 0; i < 64; ++i) other->on_ack(1000, 10ms, Time{});
  EXPECT_EQ(cc->cwnd(), other->cwnd());
}

TEST_P(CongestionTest, LossReducesToAFractionAndNeverBelowTwoSegments) {
  cc->on_ack(90'000, 10ms, Time{});
  cc->on_loss(100'000);
  EXPECT_EQ(cc->cwnd(), GetParam() == CongestionControl::kReno ? 50'000U : 70'000U);
  EXPECT_FALSE(cc->in_slow_start());
  cc->on_loss(10);
  EXPECT_EQ(cc->cwnd(), 2000U);
}

TEST_P(CongestionTest, TimeOutLeavesOneSegmentAndItsThresholdOnce) {
  cc->on_ack(90'000, 10ms, Time{});
  cc->on_timeout(100'000, true);
  EXPECT_EQ(cc->cwnd(), 1000U);
  const auto threshold = cc->ssthresh();
  cc->on_timeout(100'000, false);
  EXPECT_EQ(cc->ssthresh(), threshold);
}

TEST_P(CongestionTest, AvoidanceGrowsSlowerThanSlowStart) {
  cc->on_loss(100'000);
  const auto before = cc->cwnd();
  cc->on_ack(before, 10ms, Time{} + 1s);
  EXPECT_LE(cc->cwnd(), before + 2000);
}

TEST_P(CongestionTest, WindowStaysBelowWhatTcpCanOffer) {
  for (int i = 0; i < 100; ++i) cc->on_ack(1U << 30, 10ms, Time{});
  EXPECT_LE(cc->cwnd(), 1ULL << 30);
}

INSTANTIATE_TEST_SUITE_P(All, CongestionTest, ::testing::Values(CongestionControl::kReno, CongestionControl::kCubic));

// RFC 9438 section 4.2: after K = cbrt(W_max * (1 - beta) / C) seconds the window is where it was.
TEST(Cubic, ComesBackToItsMaximumAfterK) {
  const auto cc = make_congestion(CongestionControl::kCubic, 1000, 10'000);
  cc->on_ack(990'000, 10ms, Time{});  // 1,000 segments
  cc->on_loss(1'000'000);
  EXPECT_EQ(cc->cwnd(), 700'000U);
  const double k = std::cbrt(1000 * 0.3 / 0.4);  // about 9.1 s
  Time now{};
  std::uint64_t at_half = 0;
  while (now < Time{} + std::chrono::milliseconds(static_cast<int>(k * 1000))) {
    now += 100ms;
    cc->on_ack(cc->cwnd(), 100ms, now);
    if (at_half == 0 && now > Time{} + std::chrono::milliseconds(static_cast<int>(k * 500))) at_half = cc->cwnd();
  }
  EXPECT_NEAR(static_cast<double>(cc->cwnd()), 1'000'000, 20'000);
  EXPECT_GT(at_half, 920'000U) << "steep first, flat near the maximum";
}

TEST(Cubic, FastConvergenceGivesRoomToNewcomers) {
  const auto cc = make_congestion(CongestionControl::kCubic, 1000, 10'000);
  cc->on_ack(990'000, 10ms, Time{});
  cc->on_loss(1'000'000);
  cc->on_loss(700'000);  // below the old maximum: W_max becomes 0.85 of 700
  EXPECT_NEAR(static_cast<double>(cc->cwnd()), 490'000, 1);
  Time now{};
  for (int i = 0; i < 80; ++i) cc->on_ack(cc->cwnd(), 100ms, now += 100ms);
  EXPECT_NEAR(static_cast<double>(cc->cwnd()), 595'000, 15'000) << "the plateau";
}

TEST(Reno, GrowsOneSegmentAWindow) {
  const auto cc = make_congestion(CongestionControl::kReno, 1000, 10'000);
  cc->on_loss(40'000);
  for (int i = 0; i < 20; ++i) cc->on_ack(1000, 10ms, Time{});
  EXPECT_EQ(cc->cwnd(), 21'000U);
}

TEST(InitialWindow, IsThatOfRfc6928) {
  EXPECT_EQ(initial_window(1460, 10), 14'600U);
  EXPECT_EQ(initial_window(500, 10), 5000U);
  EXPECT_EQ(initial_window(9000, 10), 18'000U);
}

// ---- Window ----

TEST(WindowShift, IsTheSmallestThatSuffices) {
  EXPECT_EQ(window_shift_for(65'535), 0);
  EXPECT_EQ(window_shift_for(65'536), 1);
  EXPECT_EQ(window_shift_for(8 << 20), 8);
  EXPECT_EQ(window_shift_for(1 << 30), 14);
  EXPECT_EQ(window_shift_for(0xffffffff), 14);
}

// An update that says what was said before would be sent again and again.
TEST(ReceiveWindowTest, WhatTheFieldCannotSayIsNoReasonForAnUpdate) {
  std::mt19937_64 random(8);
  for (int round = 0; round < 20'000; ++round) {
    const auto shift = static_cast<std::uint8_t>(random() % 15);
    ReceiveWindow window(shift, StreamOffset{});
    const ReceiveAllowance allowance{StreamOffset{random() % (std::uint64_t{4} << shift)}, false};
    const std::uint16_t field = window.advertise(StreamOffset{}, allowance, 1460);
    if (!window.worth_an_update(StreamOffset{}, allowance, 1460)) continue;
    EXPECT_NE(window.advertise(StreamOffset{}, allowance, 1460), field) << allowance.edge.value << " at " << shift;
  }
}

TEST(ReceiveWindowTest, NeverOffersMoreThanTheRoomAndRetreatsByLessThanAGranule) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    const auto shift = static_cast<std::uint8_t>(random() % 15);
    ReceiveWindow window(shift, StreamOffset{});
    StreamOffset ack{}, room{};
    std::uint64_t offered = 0;
    for (int i = 0; i < 300; ++i) {
      room = room + random() % (1U << 18);
      ack = std::min(StreamOffset{ack.value + random() % 5000}, window.edge());
      const std::uint64_t field = window.advertise(ack, {room, false}, 1460);
      const std::uint64_t now_offered = ack.value + (field << shift);
      EXPECT_LE(now_offered, room.value);
      if (ack.value + (65535ULL << shift) > now_offered) {
        EXPECT_GE(now_offered + (1ULL << shift), offered);
      }
      offered = std::max(offered, now_offered);
      EXPECT_EQ(window.edge().value, offered);
    }
  }
}

// ---- Send buffer ----

TEST(SendBufferTest, RingKeepsBytesThroughGrowthAndWrapping) {
  std::mt19937_64 random(3);
  const ByteVector all = pattern(1 << 20);
  for (int round = 0; round < 30; ++round) {
    const std::uint64_t origin = random() % 100'000;
    SendBuffer buffer(50'000, StreamOffset{origin});
    std::uint64_t begin = 0, end = 0;
    for (int i = 0; i < 500; ++i) {
      const std::size_t n = std::min<std::size_t>(buffer.room(), random() % 20'000);
      if (end + n > all.size()) break;
      buffer.append(Bytes(all).subspan(end, n));
      end += n;
      begin += random() % (end - begin + 1);
      buffer.drop_below(StreamOffset{origin + begin});
      ASSERT_EQ(buffer.size(), end - begin);
      const std::size_t length = end == begin ? 0 : random() % (end - begin + 1);
      ByteVector got;
      for (const Bytes piece : buffer.view(StreamOffset{origin + begin}, length))
        got.insert(got.end(), piece.begin(), piece.end());
      ASSERT_TRUE(std::ranges::equal(got, Bytes(all).subspan(begin, length)));
    }
  }
}

// ---- Connection table ----

wire::FourTuple tuple_of(std::uint32_t n) {
  return {{{0x0a4d0002}, wire::Port{7}},
          {{0x0a000000 + n / 50'000}, wire::Port{static_cast<std::uint16_t>(1000 + n % 50'000)}}};
}

TEST(DemuxTest, FindsWhatIsThereThroughGrowthAndErasure) {
  Secret secret;
  secret.key[3] = std::byte{9};
  Demux demux(secret, 1);
  std::mt19937_64 random(1);
  std::set<std::uint32_t> there;
  const auto as_connection = [](std::uint32_t n) { return reinterpret_cast<Connection*>(std::uintptr_t{n} * 16 + 16); };
  for (int i = 0; i < 60'000; ++i) {
    const auto n = static_cast<std::uint32_t>(random() % 5000);
    if (there.contains(n)) {
      EXPECT_EQ(demux.find(tuple_of(n)), as_connection(n));
      EXPECT_TRUE(demux.erase(tuple_of(n)));
      there.erase(n);
    } else {
      EXPECT_EQ(demux.find(tuple_of(n)), nullptr);
      EXPECT_FALSE(demux.erase(tuple_of(n)));
      demux.insert(tuple_of(n), as_connection(n));
      there.insert(n);
    }
    ASSERT_EQ(demux.size(), there.size());
  }
  std::size_t visited = 0;
  demux.for_each([&](const wire::FourTuple& tuple, Connection* connection) {
    EXPECT_EQ(demux.find(tuple), connection);
    ++visited;
  });
  EXPECT_EQ(visited, there.size());
}

// ---- ISN: RFC9293 MUST-8, SHLD-1, MUST-9 ----

TEST(Isn, TicksEveryFourMicrosecondsAndDiffersByTupleAndSecret) {
  Secret one, two;
  two.key[0] = std::byte{1};
  const auto a = initial_sequence_number(one, tuple_of(1), 1000);
  EXPECT_EQ(initial_sequence_number(one, tuple_of(1), 1250) - a, 250U);
  EXPECT_NE(initial_sequence_number(one, tuple_of(2), 1000), a);
  EXPECT_NE(initial_sequence_number(two, tuple_of(1), 1000), a);
}

TEST(Isn, PurposesAreSeparate) {
  const Secret secret;
  EXPECT_NE(initial_sequence_number(secret, tuple_of(1), 0).value, timestamp_offset(secret, tuple_of(1)));
  EXPECT_NE(static_cast<std::uint32_t>(tuple_hash(secret, tuple_of(1))), timestamp_offset(secret, tuple_of(1)));
}

// ---- Listener: RFC 9293 section 3.10.7.2 ----

class ListenerTest : public ::testing::Test {
 protected:
  Listener listener{2};
  wire::FourTuple tuple = tuple_of(1);
  SegmentIn segment;
  Verdict judge() { return listener.judge(tuple, segment); }
};

TEST_F(ListenerTest, AcceptsASyn) {
  segment.header.flags.syn = true;
  EXPECT_EQ(judge(), Verdict::kAccept);
}

TEST_F(ListenerTest, RefusesAnAckAndIgnoresAReset) {
  segment.header.flags.ack = true;
  EXPECT_EQ(judge(), Verdict::kRefuse);
  segment.header.flags.syn = true;
  EXPECT_EQ(judge(), Verdict::kRefuse);
  segment.header.flags.rst = true;
  EXPECT_EQ(judge(), Verdict::kIgnore);
}

TEST_F(ListenerTest, IgnoresWhatIsNoSyn) {
  EXPECT_EQ(judge(), Verdict::kIgnore);
  segment.header.flags.syn = segment.header.flags.fin = true;
  EXPECT_EQ(judge(), Verdict::kIgnore);
}

// RFC9293: MUST-57, MUST-63
TEST_F(ListenerTest, IgnoresSynsFromOrToAddressesThatNoHostHas) {
  segment.header.flags.syn = true;
  for (const std::uint32_t address : {0U, 0xe0000001U, 0xffffffffU}) {
    tuple = tuple_of(1);
    tuple.peer.address.value = address;
    EXPECT_EQ(judge(), Verdict::kIgnore);
  }
  for (const std::uint32_t address : {0xe0000001U, 0xffffffffU}) {
    tuple = tuple_of(1);
    tuple.local.address.value = address;
    EXPECT_EQ(judge(), Verdict::kIgnore);
  }
  tuple.peer = tuple.local = tuple_of(1).local;
  EXPECT_EQ(judge(), Verdict::kIgnore) << "a segment from ourselves to ourselves";
}

// RFC9293: MUST-41, MUST-42
TEST_F(ListenerTest, BoundsHalfOpenConnections) {
  segment.header.flags.syn = true;
  listener.half_opened();
  EXPECT_EQ(judge(), Verdict::kAccept);
  listener.half_opened();
  EXPECT_EQ(judge(), Verdict::kFull);
  listener.half_closed();
  EXPECT_EQ(judge(), Verdict::kAccept);
}

TEST(Challenge, TenAtOnceThenTenASecond) {
  ChallengeLimit limit;
  Time now{};
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += limit.take(now);
  EXPECT_EQ(taken, 10);
  now += 100ms;
  EXPECT_TRUE(limit.take(now));
  EXPECT_FALSE(limit.take(now));
}

}  // namespace
}  // namespace holdfast::tcp::test
