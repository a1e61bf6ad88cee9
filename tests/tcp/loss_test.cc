// Retransmission: RFC 6298, RFC 5681, RFC 6582, RFC 6675, RFC 3042, as seen on the wire.
#include "solo.h"

namespace holdfast::tcp::test {
namespace {

class Loss : public Solo {
 protected:
  static constexpr std::int64_t kMss = 1460;
  void SetUp() override { establish(); }
  // `n` full segments in flight, as one super-segment.
  void send(std::int64_t n) {
    e.queue(pattern(static_cast<std::size_t>(n * mss())));
    while (!silent()) take();
  }
  virtual std::int64_t mss() const { return kMss; }
  void ack(std::int64_t segments) { arrive(kAck, 0, segments * mss()); }
};

class LossWithSack : public Loss {
 protected:
  void SetUp() override { establish_modern(); }
  std::int64_t mss() const override { return 1448; }
  void sack(std::int64_t acked, std::initializer_list<std::pair<std::int64_t, std::int64_t>> blocks) {
    SegmentIn s = segment(kAck, 0, acked * mss());
    for (const auto& [from, to] : blocks) s.header.options.sack.push({our_seq(from * mss()), our_seq(to * mss())});
    arrive(s);
  }
};

// ---- Time-outs ----

// RFC9293: MUST-19, MUST-20, MUST-21
TEST_F(Loss, TimeOutsDoubleUpToTheirBoundAndEnd) {
  now() += 1s;
  send(1);
  Time last = now();
  std::vector<Duration> gaps;
  while (!e.close_reason) {
    expire();
    while (!silent()) {
      EXPECT_EQ(seq_of(take()), 0);
      gaps.push_back(now() - last);
      last = now();
    }
  }
  EXPECT_EQ(e.close_reason, CloseReason::kTimeout);
  EXPECT_EQ(gaps.size(), e.config.retries);
  for (std::size_t i = 1; i < gaps.size(); ++i) EXPECT_EQ(gaps[i], std::min<Duration>(2 * gaps[i - 1], 60s));
}

TEST_F(Loss, UserTimeOutEndsEarlier) {
  e.config.user_timeout = 10s;
  establish();
  send(1);
  const Time from = now();
  while (!e.close_reason) expire();
  EXPECT_EQ(e.close_reason, CloseReason::kTimeout);
  EXPECT_GE(now() - from, 10s);
  EXPECT_LT(now() - from, 30s);
}

TEST_F(Loss, TimeOutSendsOneSegmentThenSlowStarts) {
  send(10);
  expire();
  const Sent s = take();
  EXPECT_EQ(seq_of(s), 0);
  EXPECT_EQ(s.payload.size(), 1460U);
  EXPECT_TRUE(silent());
  now() += 10ms;
  ack(1);
  const Sent two = take();
  EXPECT_EQ(seq_of(two), 1460);
  EXPECT_EQ(two.payload.size(), 2920U);
}

TEST_F(Loss, AckOfEverythingAfterATimeOutEndsIt) {
  send(10);
  expire();
  take();
  ack(10);
  EXPECT_TRUE(silent());
  EXPECT_EQ(c().deadline(), kNever);
  EXPECT_EQ(e.acked.value, 14'600U);
}

TEST_F(Loss, AckStartsTheTimerAnew) {
  send(10);
  const Time first = c().deadline();
  now() += 100ms;
  ack(5);
  EXPECT_GT(c().deadline(), first);
}

// RFC9293: MUST-18
TEST_F(Loss, RetransmittedSegmentGivesNoSample) {
  const Duration before = c().smoothed_rtt();
  send(1);
  expire();
  now() += 700ms;
  ack(1);
  EXPECT_EQ(c().smoothed_rtt(), before);
}

TEST_F(LossWithSack, TimestampTellsARetransmissionsRoundTrip) {
  send(1);
  expire();
  take();
  const Duration before = c().smoothed_rtt();
  now() += 80ms;
  arrive(kAck, 0, mss());
  EXPECT_GT(c().smoothed_rtt(), before);
  EXPECT_LE(c().smoothed_rtt(), 80ms);
}

// What was shown while the clock stood says nothing of when.
TEST_F(LossWithSack, TimestampFromAClockThatStoodIsNoSample) {
  send(1);
  now() += 10ms;
  arrive(kAck, 0, mss());
  send(1);
  expire();
  take();
  const Duration before = c().smoothed_rtt();
  e.stood_at = e.timestamp_clock();
  now() += 80ms;
  arrive(kAck, 0, 2 * mss());
  EXPECT_EQ(c().smoothed_rtt(), before);
}

// Where this life began is more than half way round by then.
TEST_F(LossWithSack, TimestampTellsARetransmissionsRoundTripAfterAMonth) {
  send(1);
  now() += 10ms;
  arrive(kAck, 0, mss());
  now() += std::chrono::hours(24 * 25);
  send(1);
  expire();
  take();
  const Duration before = c().smoothed_rtt();
  now() += 80ms;
  arrive(kAck, 0, 2 * mss());
  EXPECT_GT(c().smoothed_rtt(), before);
}

class LossWithLateTimestamps : public LossWithSack {
 protected:
  void SetUp() override {
    ts_offset = 0xc000'0000;
    establish_modern();
  }
};

TEST_F(LossWithLateTimestamps, TheyTellItInTheUpperHalfOfTheirRangeAsWell) {
  send(1);
  expire();
  take();
  const Duration before = c().smoothed_rtt();
  now() += 80ms;
  arrive(kAck, 0, mss());
  EXPECT_GT(c().smoothed_rtt(), before);
}

TEST_F(Loss, BackOffLastsUntilANewSample) {
  now() += 100ms;
  send(1);
  const Duration rto = c().deadline() - now();
  expire();
  ack(1);
  send(1);
  EXPECT_EQ(c().deadline() - now(), 2 * rto);
  now() += 1ms;
  ack(2);
  send(1);
  EXPECT_LE(c().deadline() - now(), rto);
}

// ---- Fast retransmit without SACK ----

TEST_F(Loss, ThirdDuplicateAckRetransmitsAtOnce) {
  send(10);
  ack(1);
  e.out.clear();
  ack(1), ack(1);
  EXPECT_TRUE(silent());
  ack(1);
  const Sent s = take();
  EXPECT_EQ(seq_of(s), kMss);
  EXPECT_EQ(s.payload.size(), 1460U);
  EXPECT_TRUE(silent());
}

// RFC 3042
TEST_F(Loss, FirstTwoDuplicatesLetNewSegmentsOut) {
  send(10);
  e.queue(pattern(20'000));
  EXPECT_TRUE(silent());
  ack(0);
  EXPECT_EQ(seq_of(take()), 10 * kMss);
  ack(0);
  EXPECT_EQ(seq_of(take()), 11 * kMss);
  ack(0);
  EXPECT_EQ(seq_of(take()), 0);
}

// RFC 6582
TEST_F(Loss, PartialAckRetransmitsTheNextHole) {
  send(10);
  for (int i = 0; i < 5; ++i) ack(0);
  EXPECT_EQ(seq_of(take()), 0);
  e.out.clear();
  ack(4);
  EXPECT_EQ(seq_of(take()), 4 * kMss);
  ack(10);
  EXPECT_TRUE(silent());
}

TEST_F(Loss, AcksThatCarryDataOrAWindowAreNoDuplicates) {
  send(10);
  for (int i = 0; i < 6; ++i) {
    arrive(kAck, i * 10, 0, pattern(10));
    ++peer_window;
    arrive(kAck, 60, 0);
  }
  while (!silent()) EXPECT_TRUE(take().bare());
}

// ---- With SACK ----

TEST_F(LossWithSack, ThreeSackedSegmentsAboveMeanLost) {
  send(10);
  sack(0, {{1, 2}});
  sack(0, {{1, 3}});
  EXPECT_TRUE(silent());
  sack(0, {{1, 4}});
  const Sent s = take();
  EXPECT_EQ(seq_of(s), 0);
  EXPECT_EQ(s.payload.size(), 1448U);
}

TEST_F(LossWithSack, AllHolesBelowAreRepairedWithinTheWindow) {
  send(10);
  sack(0, {{7, 10}, {3, 5}});
  std::vector<std::pair<std::int64_t, std::size_t>> again;
  while (!silent()) {
    const Sent s = take();
    again.emplace_back(seq_of(s), s.payload.size());
  }
  // In flight: nothing but what is sent again; half (CUBIC: 0.7) of ten segments fits.
  const std::vector<std::pair<std::int64_t, std::size_t>> holes = {{0, 3 * 1448}, {5 * 1448, 2 * 1448}};
  EXPECT_EQ(again, holes);
}

TEST_F(LossWithSack, OnlyTheHolesAreSentAgain) {
  send(10);
  sack(0, {{1, 10}});
  EXPECT_EQ(seq_of(take()), 0);
  EXPECT_TRUE(silent());
  arrive(kAck, 0, 10 * mss());
  EXPECT_TRUE(silent());
  EXPECT_EQ(c().deadline(), kNever);
}

TEST_F(LossWithSack, WindowIsReducedOncePerWindow) {
  e.config.congestion = CongestionControl::kReno;
  establish_modern();
  e.queue(pattern(100 * 1448));
  e.out.clear();
  sack(0, {{1, 4}});
  sack(0, {{1, 10}});
  arrive(kAck, 0, 10 * mss());
  std::int64_t sent = 0;
  while (!silent()) {
    const Sent s = take();
    sent = std::max(sent, seq_of(s) + static_cast<std::int64_t>(s.payload.size()));
  }
  const std::int64_t in_flight = sent - 10 * mss();
  EXPECT_GE(in_flight / mss(), 5) << "half of ten segments";
  EXPECT_LE(in_flight / mss(), 6) << "and what the last ACK let it grow";
}

// RFC 2018 section 8
TEST_F(LossWithSack, TimeOutForgetsWhatWasSacked) {
  send(10);
  sack(0, {{5, 6}});
  expire();
  EXPECT_EQ(seq_of(take()), 0);
  std::int64_t next = 1;
  for (; next < 10; ++next) {
    now() += 1ms;
    arrive(kAck, 0, next * mss());
  }
  std::size_t bytes = 0;
  while (!silent()) bytes += take().payload.size();
  EXPECT_GE(bytes, 9U * 1448) << "the SACKed segment too";
}

// Without timestamps too: else a hole that is lost again and again would be repaired ever more slowly.
TEST_F(LossWithSack, SackedSegmentsGiveSamplesAndEndABackOff) {
  peer_timestamps = false;
  establish();
  e.config = Config{};
  e.queue(pattern(2 * 1460));
  e.out.clear();
  expire(), expire(), expire();
  e.queue(pattern(1460));
  arrive(kAck, 0, 1460);  // both were sent again: no sample, the back-off stays
  e.out.clear();
  const Duration backed_off = c().deadline() - now();
  EXPECT_GE(backed_off, 800ms);
  now() += 30ms;
  SegmentIn s = segment(kAck, 0, 1460);
  s.header.options.sack.push({our_seq(2 * 1460), our_seq(3 * 1460)});
  arrive(s);
  EXPECT_LE(c().smoothed_rtt(), 30ms);
  EXPECT_GT(c().smoothed_rtt(), Duration::zero());
  expire();
  EXPECT_LE(c().deadline() - now(), 500ms);
}

TEST_F(LossWithSack, PeerThatRenegesIsSentWhatItDropped) {
  send(10);
  sack(0, {{2, 10}});
  e.out.clear();
  arrive(kAck, 0, 2 * mss());  // inside what it had: it has it no longer
  EXPECT_EQ(seq_of(take()), 2 * mss());
}

TEST_F(LossWithSack, NonsenseBlocksAreIgnored) {
  send(10);
  SegmentIn s = segment(kAck, 0, 0);
  s.header.options.sack.push({our_seq(100'000), our_seq(200'000)});
  s.header.options.sack.push({our_seq(5000), our_seq(4000)});
  s.header.options.sack.push({our_seq(-5000), our_seq(-4000)});
  for (int i = 0; i < 5; ++i) arrive(s);
  EXPECT_TRUE(silent());
}

TEST_F(LossWithSack, SackOfEveryOtherByteCostsNothing) {
  send(10);
  for (std::int64_t at = 1; at < 14'000; at += 2) {
    SegmentIn s = segment(kAck, 0, 0);
    s.header.options.sack.push({our_seq(at), our_seq(at + 1)});
    arrive(s);
  }
  EXPECT_TRUE(silent());
}

// RFC 5681 section 4.1
TEST_F(Loss, IdleConnectionStartsAnewFromTheInitialWindow) {
  e.config.send_buffer = 4 << 20;
  peer_scale = 7;
  establish();
  e.to_write = pattern(1'000'000);
  e.top_up(c());
  std::int64_t acked = 0;
  while (acked < 1'000'000) {
    while (!silent()) acked = seq_of(e.out.front()) + static_cast<std::int64_t>(take().payload.size());
    now() += 10ms;
    arrive(kAck, 0, acked);
  }
  now() += 60s;
  e.to_write = {};
  e.queue(pattern(100'000));
  std::size_t burst = 0;
  while (!silent()) burst += take().payload.size();
  EXPECT_EQ(burst, 14'600U);
}

}  // namespace
}  // namespace holdfast::tcp::test
