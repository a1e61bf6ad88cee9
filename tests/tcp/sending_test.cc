// Sending by the book: segmentation, Nagle, silly windows, zero-window probes, keepalives, path MTU. RFC 9293
// sections 3.7, 3.8.
#include "solo.h"

namespace holdfast::tcp::test {
namespace {

class Sending : public Solo {
 protected:
  void SetUp() override { establish(); }
};

// RFC9293: SHLD-28, MUST-16
TEST_F(Sending, FullSegmentsLeaveAsOneSuperSegment) {
  e.queue(pattern(14'600));
  const Sent s = take();
  EXPECT_EQ(s.payload, pattern(14'600));
  EXPECT_EQ(s.gso_size, 1460);
  EXPECT_TRUE(silent());
}

TEST_F(Sending, TimestampsTakeTheirRoom) {
  establish_modern();
  e.queue(pattern(14'480));
  EXPECT_EQ(take().gso_size, 1448);
}

TEST_F(Sending, SackBlocksTakeTheirRoom) {
  establish_modern();
  arrive(kAck, 1000, 0, pattern(10));
  take();
  e.queue(pattern(10'000));
  const Sent s = take();
  EXPECT_EQ(s.header.options.sack.count, 1);
  EXPECT_EQ(s.gso_size, 1436);
}

TEST_F(Sending, SuperSegmentsFitIntoAnIpPacket) {
  peer_scale = 7;
  e.config.send_buffer = 4 << 20;
  establish();
  e.to_write = pattern(2'000'000);
  e.top_up(c());
  std::int64_t acked = 0;
  std::size_t largest = 0;
  while (acked < 2'000'000) {
    ASSERT_FALSE(silent());
    while (!silent()) {
      const Sent s = take();
      largest = std::max(largest, s.payload.size());
      EXPECT_TRUE(s.gso_size > 0 || s.payload.size() <= 1460U);
      acked = seq_of(s) + static_cast<std::int64_t>(s.payload.size());
    }
    now() += 10ms;
    arrive(kAck, 0, acked);
  }
  EXPECT_LE(largest, 65'535U - 120);
  EXPECT_GT(largest, 60'000U);
}

// RFC9293: MUST-61, SHLD-27
TEST_F(Sending, PushMarksTheEndOfWhatIsQueued) {
  e.store_outbound = false;
  e.queue(pattern(3000));
  c().on_outbound_stored(StreamOffset{2920}, false, now());
  EXPECT_FALSE(take().header.flags.psh);
  arrive(kAck, 0, 2920);
  c().on_outbound_stored(StreamOffset{3000}, false, now());
  EXPECT_TRUE(take().header.flags.psh);
}

// RFC 6928
TEST_F(Sending, InitialWindowIsTenSegments) {
  e.queue(pattern(50'000));
  EXPECT_EQ(take().payload.size(), 14'600U);
  EXPECT_TRUE(silent());
}

// RFC9293: SHLD-7
TEST_F(Sending, NagleHoldsASmallSegmentWhileOneIsInFlight) {
  e.queue(pattern(10));
  EXPECT_EQ(take().payload.size(), 10U);
  e.queue(pattern(10));
  e.queue(pattern(10));
  EXPECT_TRUE(silent());
  arrive(kAck, 0, 10);
  EXPECT_EQ(take().payload.size(), 20U);
}

TEST_F(Sending, NagleDoesNotHoldFullSegments) {
  e.queue(pattern(10));
  take();
  e.queue(pattern(2000));
  EXPECT_EQ(take().payload.size(), 1460U);
  EXPECT_TRUE(silent());
}

TEST_F(Sending, TailOfALargeWriteNeedNotWait) {
  e.queue(pattern(3000));
  EXPECT_EQ(take().payload.size(), 3000U);
}

// RFC9293: MUST-17
TEST_F(Sending, NagleCanBeTurnedOff) {
  e.config.nagle = false;
  establish();
  e.queue(pattern(10));
  e.queue(pattern(10));
  EXPECT_EQ(e.out.size(), 2U);
}

// RFC9293: MUST-38
TEST_F(Sending, SillyPiecesOfAWindowAreNotFilled) {
  peer_window = 4000;
  arrive(kAck, 0, 0);
  e.queue(pattern(20'000));
  EXPECT_EQ(take().payload.size(), 2920U) << "1,080 more would fit, which is less than a segment";
  EXPECT_TRUE(silent());
}

TEST_F(Sending, HalfOfTheLargestWindowIsNotSilly) {
  peer_window = 1000;
  accept();
  c().on_record_stored(now());
  arrive(kAck, 0, 0);
  e.out.clear();
  e.queue(pattern(20'000));
  EXPECT_EQ(take().payload.size(), 1000U);
}

TEST_F(Sending, SillyWindowIsUsedWhenTheOverrideTimerExpires) {
  e.queue(pattern(1460 * 40));
  take();
  peer_window = 100;
  arrive(kAck, 0, 14'600);
  EXPECT_TRUE(silent());
  expire();
  EXPECT_EQ(take().payload.size(), 100U);
}

// ---- Zero window: RFC9293 MUST-35, MUST-36, MUST-37, SHLD-29, SHLD-30, MAY-8 ----

TEST_F(Sending, ClosedWindowIsProbedWithBackOffForAsLongAsThePeerAnswers) {
  peer_window = 0;
  arrive(kAck, 0, 0);
  e.queue(pattern(5000));
  EXPECT_TRUE(silent());
  Duration last{};
  for (int i = 0; i < 50; ++i) {
    const Time from = now();
    expire();
    const Sent s = take();
    EXPECT_EQ(seq_of(s), 0);
    EXPECT_EQ(s.payload.size(), 1U) << "one octet of new data";
    EXPECT_TRUE(silent());
    EXPECT_GE(now() - from, last);
    last = now() - from;
    arrive(kAck, 0, 0);
  }
  EXPECT_EQ(last, e.config.max_rto);
  EXPECT_FALSE(e.close_reason);
}

// Beyond the window the peer would discard the ACK with the segment, and in the end give up.
TEST_F(Sending, AcksAreWithinAClosedWindowAlsoBesideAProbe) {
  peer_window = 0;
  arrive(kAck, 0, 0);
  e.queue(pattern(5000));
  expire();
  EXPECT_EQ(take().payload.size(), 1U);
  arrive(kAck, 0, 0, pattern(100));
  expire();
  const Sent s = take();
  EXPECT_EQ(seq_of(s), 0);
  EXPECT_TRUE(s.bare());
}

TEST_F(Sending, ProbesThatNobodyAnswersEnd) {
  peer_window = 0;
  arrive(kAck, 0, 0);
  e.queue(pattern(5000));
  while (!e.close_reason) expire();
  EXPECT_EQ(e.close_reason, CloseReason::kTimeout);
}

TEST_F(Sending, OpenedWindowIsUsedFromTheProbesByteOn) {
  peer_window = 0;
  arrive(kAck, 0, 0);
  e.queue(pattern(5000));
  expire();
  take();
  peer_window = 10'000;
  arrive(kAck, 0, 0);
  const Sent s = take();
  EXPECT_EQ(seq_of(s), 0);
  EXPECT_EQ(s.payload.size(), 5000U);
}

TEST_F(Sending, TimerOfAClosedWindowDoesNotOutliveIt) {
  peer_window = 0;
  arrive(kAck, 0, 0);
  e.queue(pattern(5000));
  for (int i = 0; i < 20; ++i) {
    expire();
    arrive(kAck, 0, 0);
  }
  e.out.clear();
  peer_window = 10'000;
  arrive(kAck, 0, 0);
  EXPECT_EQ(take().payload.size(), 5000U);
  EXPECT_LE(c().deadline() - now(), 1s);
}

TEST_F(Sending, SegmentsOfANearly64KMssLeave) {
  e.config.mss = 65'495;
  peer_mss = 65'495;
  establish();
  e.queue(pattern(100'000));
  EXPECT_EQ(take().payload.size(), 60'000U) << "the peer's window";
}

TEST_F(Sending, ProbeThatWasTakenIsNotRepeated) {
  peer_window = 0;
  arrive(kAck, 0, 0);
  e.queue(pattern(5000));
  expire();
  take();
  peer_window = 10'000;
  arrive(kAck, 0, 1);
  const Sent s = take();
  EXPECT_EQ(seq_of(s), 1);
  EXPECT_EQ(s.payload.size(), 4999U);
}

TEST_F(Sending, LateAckOfTheProbeIsAcceptable) {
  peer_window = 0;
  arrive(kAck, 0, 0);
  e.queue(pattern(1));
  expire();
  take();
  peer_window = 10'000;
  arrive(kAck, 0, 0);
  take();
  arrive(kAck, 0, 1);
  EXPECT_EQ(e.acked.value, 1U);
}

// RFC9293: MUST-34, SHLD-15, SHLD-16, SHLD-17
TEST_F(Sending, ShrunkWindowIsRespected) {
  e.queue(pattern(14'600));
  take();
  peer_window = 3000;
  arrive(kAck, 0, 1460);
  e.queue(pattern(5000));
  EXPECT_TRUE(silent()) << "nothing new beyond it";
  expire();
  const Sent s = take();
  EXPECT_EQ(seq_of(s), 1460);
  EXPECT_LE(s.payload.size(), 3000U) << "old data inside it";
  EXPECT_FALSE(e.close_reason);
}

TEST_F(Sending, WindowShrunkToZeroWithDataInFlightIsProbed) {
  e.queue(pattern(14'600));
  take();
  peer_window = 0;
  arrive(kAck, 0, 2920);
  for (int i = 0; i < 30; ++i) {
    expire();
    EXPECT_EQ(seq_of(take()), 2920);
    EXPECT_TRUE(silent());
    arrive(kAck, 0, 2920);
  }
  EXPECT_FALSE(e.close_reason);
  peer_window = 60'000;
  arrive(kAck, 0, 2920);
  EXPECT_EQ(seq_of(take()), 2920) << "at once";
}

// RFC9293: MUST-1
TEST_F(Sending, LargeWindowsAreUnsigned) {
  peer_scale = 14;
  peer_window = 65'535;
  establish();
  EXPECT_EQ(c().snapshot().snd_wnd, 65'535U << 14);
}

TEST_F(Sending, OldSegmentDoesNotUpdateTheWindow) {
  arrive(kAck, 0, 0, pattern(100));
  arrive(kAck, 100, 0, pattern(10));
  peer_window = 5;
  arrive(kAck, 0, 0, pattern(100));  // SEG.SEQ below SND.WL1
  EXPECT_EQ(c().snapshot().snd_wnd, 60'000U);
}

TEST_F(Sending, WhatAcknowledgesMoreBringsItsWindowThoughItRepeatsOldData) {
  arrive(kAck, 100, 0, pattern(10));  // above a gap
  e.queue(pattern(14'600));
  e.out.clear();
  peer_window = 30'000;
  arrive(kAck, 0, 14'600, pattern(100));
  EXPECT_EQ(c().snapshot().snd_wnd, 30'000U) << "or 30,000 bytes more than the peer has room for might leave";
}

TEST_F(Sending, OldDataWithANewAckDoesNotMakeOlderNewsCount) {
  arrive(kAck, 0, 0, pattern(100));
  e.queue(pattern(2000));
  e.out.clear();
  arrive(kAck, 0, 1000, pattern(50));
  peer_window = 5;
  arrive(kAck, 60, 1000, pattern(10));  // delayed: from before the newest that was heard
  EXPECT_EQ(c().snapshot().snd_wnd, 60'000U);
}

// ---- Keepalive ----

class Keepalive : public Solo {
 protected:
  void SetUp() override {
    e.config.keepalive = true;
    establish();
  }
};

// RFC9293: MUST-24, MUST-26, MUST-27, MUST-28, SHLD-12
TEST_F(Keepalive, ProbesAfterTheIdleTimeWithoutData) {
  const Time from = now();
  expire();
  EXPECT_EQ(now() - from, 2h);
  const Sent s = take();
  EXPECT_TRUE(s.bare());
  EXPECT_EQ(seq_of(s), -1);
  arrive(kAck, 0, 0);
  const Time answered = now();
  while (silent()) expire();
  EXPECT_EQ(now() - answered, 2h);
}

TEST_F(Keepalive, TrafficPutsItOff) {
  now() += 1h;
  arrive(kAck, 0, 0, pattern(10));
  pass(90min);
  e.out.clear();
  const Time before = now();
  while (silent()) expire();
  EXPECT_GE(now() - before, 30min - 1s);
}

// RFC9293: MUST-29
TEST_F(Keepalive, EndsAConnectionOnlyAfterSeveralUnansweredProbes) {
  expire();
  std::size_t probes = 0;
  while (!e.close_reason) {
    while (!silent()) probes += take().bare();
    expire();
  }
  EXPECT_EQ(probes, 9U);
  EXPECT_EQ(e.close_reason, CloseReason::kTimeout);
}

// RFC9293: MUST-25
TEST_F(Sending, KeepaliveIsOffByDefault) { EXPECT_EQ(c().deadline(), kNever); }

// ---- ICMP: RFC 5927, RFC 1191 ----

TEST_F(Sending, PathMtuLowersTheSegmentSizeAndSendsAgain) {
  e.queue(pattern(14'600));
  take();
  const auto in_flight = our_seq(0);
  c().on_icmp_error(in_flight, true, 1000, now());
  EXPECT_EQ(c().snapshot().send_mss, 960);
  const Sent s = take();
  EXPECT_EQ(seq_of(s), 0);
  EXPECT_EQ(s.gso_size, 960);
}

TEST_F(Sending, PathMtuOfAStrangerIsIgnored) {
  e.queue(pattern(100));
  take();
  c().on_icmp_error(our_seq(100), true, 600, now());
  c().on_icmp_error(our_seq(-1), true, 600, now());
  EXPECT_EQ(c().snapshot().send_mss, 1460);
}

TEST_F(Sending, PathMtuIsBounded) {
  e.queue(pattern(100));
  take();
  c().on_icmp_error(our_seq(0), true, 68, now());
  EXPECT_EQ(c().snapshot().send_mss, 536);
}

TEST_F(Sending, RouterThatNamesNoMtuMeansTheNextPlateau) {
  e.queue(pattern(100));
  take();
  c().on_icmp_error(our_seq(0), true, 0, now());
  EXPECT_EQ(c().snapshot().send_mss, 1492 - 40);
}

// RFC9293: MUST-54, MUST-56, SHLD-25
TEST_F(Sending, SoftErrorsAreRememberedAndNotFatal) {
  e.queue(pattern(100));
  take();
  c().on_icmp_error(our_seq(0), false, 0, now());
  EXPECT_EQ(c().soft_errors(), 1U);
  EXPECT_FALSE(e.close_reason);
}

}  // namespace
}  // namespace holdfast::tcp::test
