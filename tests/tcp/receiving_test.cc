// Receiving by the book: ACK policy, reassembly, SACK, window. RFC 9293 sections 3.8.6, 3.10.7.4, RFC 2018, RFC 2883.
#include "solo.h"

namespace holdfast::tcp::test {
namespace {

class Receiving : public Solo {
 protected:
  void SetUp() override { establish(); }
  void data(std::int64_t at, std::size_t n = 1460) {
    const ByteVector all = pattern(static_cast<std::size_t>(at) + n);
    bytes_.assign(all.begin() + at, all.end());
    arrive(kAck, at, 0, bytes_);
  }
  ByteVector bytes_;
};
class ReceivingWithSack : public Receiving {
 protected:
  void SetUp() override { establish_modern(); }
};

// RFC9293: SHLD-18, SHLD-19
TEST_F(Receiving, EverySecondFullSegmentIsAcknowledged) {
  data(0);
  EXPECT_TRUE(silent());
  data(1460);
  EXPECT_EQ(ack_of(take()), 2920);
  data(2920);
  EXPECT_TRUE(silent());
  data(4380);
  EXPECT_EQ(ack_of(take()), 5840);
}

TEST_F(Receiving, DataInFlightDoesNotHurryTheAck) {
  e.queue(pattern(10));
  take();
  data(0, 100);
  EXPECT_TRUE(silent());
  EXPECT_EQ(e.notes, 0U);
}

TEST_F(Receiving, PushedDataIsDelayedAsAnyOther) {
  arrive(kPshAck, 0, 0, pattern(100));
  EXPECT_EQ(e.notes, 0U);
}

class ReceivingWithNotesOfPushed : public Solo {
 protected:
  void SetUp() override {
    e.config.note_pushed = true;
    establish();
  }
};

TEST_F(ReceivingWithNotesOfPushed, PushedDataIsNotedAtOnce) {
  const auto bytes = pattern(100);
  arrive(kAck, 0, 0, bytes);
  EXPECT_EQ(e.notes, 0U) << "more is to come";
  arrive(kPshAck, 100, 0, bytes);
  EXPECT_EQ(e.notes, 1U);
  EXPECT_EQ(ack_of(take()), 200);
  pass(1s);
  EXPECT_EQ(e.notes, 1U) << "no timer is left";
}

// RFC9293: MUST-40
TEST_F(Receiving, SingleSegmentIsAcknowledgedWithinHalfASecond) {
  data(0);
  EXPECT_LT(c().deadline() - now(), 500ms);
  expire();
  EXPECT_EQ(ack_of(take()), 1460);
}

TEST_F(Receiving, SuperSegmentIsAcknowledgedAtOnce) {
  data(0, 20'000);
  EXPECT_EQ(ack_of(take()), 20'000);
  EXPECT_TRUE(silent());
}

TEST_F(Receiving, SmallSegmentsOfAPeerWithASmallMssCountAsFull) {
  data(0, 700), data(700, 700);
  EXPECT_EQ(ack_of(take()), 1400);
}

// RFC9293: SHLD-31, MAY-13, MUST-59
TEST_F(Receiving, OutOfOrderSegmentsAreKeptAndAcknowledgedAtOnce) {
  data(1460);
  EXPECT_EQ(ack_of(take()), 0);
  data(2920);
  EXPECT_EQ(ack_of(take()), 0);
  data(0);
  EXPECT_EQ(ack_of(take()), 4380) << "one ACK after all that was queued";
  EXPECT_TRUE(silent());
  EXPECT_EQ(e.received, pattern(4380));
}

TEST_F(Receiving, OverlapsAreDeliveredOnce) {
  data(1000, 1000);
  data(1500, 1000);
  data(500, 700);
  data(0, 1200);
  EXPECT_EQ(e.received, pattern(2500));
}

TEST_F(Receiving, SegmentAcrossSeveralHeldRangesJoinsTheLast) {
  data(1000, 100), data(1500, 100), data(2000, 1000);
  data(0, 2100);
  EXPECT_EQ(e.received, pattern(3000));
}

TEST_F(Receiving, OverlapWithWhatWasDeliveredIsTrimmed) {
  data(0, 1000);
  data(500, 1000);
  EXPECT_EQ(e.received, pattern(1500));
}

TEST_F(Receiving, FinAboveAGapWaitsForTheGap) {
  const ByteVector all = pattern(300);
  arrive(kFinAck, 200, 0, Bytes(all).subspan(200));
  EXPECT_EQ(c().state(), State::kEstablished);
  take();
  arrive(kAck, 0, 0, Bytes(all).first(200));
  EXPECT_EQ(c().state(), State::kCloseWait);
  EXPECT_EQ(e.received, all);
  EXPECT_TRUE(e.received_fin);
  EXPECT_EQ(ack_of(take()), 301);
}

TEST_F(Receiving, NothingIsTakenBeyondTheEndOfTheStream) {
  arrive(kFinAck, 0, 0, pattern(100));
  take();
  data(100, 50);
  data(0, 200);
  EXPECT_EQ(e.received.size(), 100U);
}

TEST_F(Receiving, FinAtAnotherPlaceThanTheFirstIsIgnored) {
  const ByteVector all = pattern(300);
  arrive(kFinAck, 300, 0);
  arrive(kFinAck, 0, 0, Bytes(all).first(100));
  EXPECT_EQ(c().state(), State::kEstablished);
  arrive(kAck, 100, 0, Bytes(all).subspan(100));
  EXPECT_EQ(c().state(), State::kCloseWait);
  EXPECT_EQ(e.received, all);
}

TEST_F(Receiving, ReassemblyIsBounded) {
  e.config.reassembly_bytes = 5000;
  establish();
  data(4000, 1460);
  data(10'000, 1460);
  data(0, 4000);
  EXPECT_EQ(c().received().value, 5000U) << "the rest has to come again";
}

TEST_F(ReceivingWithSack, SackNamesTheLatestBlockFirst) {
  data(2000, 100), data(4000, 100), data(6000, 100);
  take(), take();
  const auto sack = take().header.options.sack;
  ASSERT_EQ(sack.count, 3);
  EXPECT_EQ(left_of(sack.blocks[0]), 6000);
  EXPECT_EQ(left_of(sack.blocks[1]), 4000);
  EXPECT_EQ(left_of(sack.blocks[2]), 2000);
  data(2100, 100);
  const auto again = take().header.options.sack;
  EXPECT_EQ(left_of(again.blocks[0]), 2000);
  EXPECT_EQ(right_of(again.blocks[0]), 2200);
  EXPECT_EQ(left_of(again.blocks[1]), 6000);
}

// RFC 2883 section 4
TEST_F(ReceivingWithSack, DuplicateOfAnOutOfOrderSegmentIsReportedBeforeItsBlock) {
  data(2000, 1000);
  take();
  data(2200, 100);
  const auto sack = take().header.options.sack;
  ASSERT_EQ(sack.count, 2);
  EXPECT_EQ(left_of(sack.blocks[0]), 2200);
  EXPECT_EQ(right_of(sack.blocks[0]), 2300);
  EXPECT_EQ(left_of(sack.blocks[1]), 2000);
  EXPECT_EQ(right_of(sack.blocks[1]), 3000);
  EXPECT_TRUE(sack.count == 2);
}

TEST_F(ReceivingWithSack, DuplicateIsReportedOnce) {
  data(0), data(1448);
  take();
  data(0);
  EXPECT_FALSE(take().header.options.sack.empty());
  data(2908), data(4300);
  EXPECT_EQ(take().header.options.sack.count, 1);
}

// RFC9293: MUST-30, MUST-31, MUST-62
TEST_F(Receiving, UrgentPointerIsReportedAndDataStaysInLine) {
  EXPECT_FALSE(c().urgent_end());
  const ByteVector some = pattern(100);
  SegmentIn s = segment(kAck, 0, 0, some);
  s.header.flags.urg = true;
  s.header.urgent = 5000;
  arrive(s);
  EXPECT_EQ(c().urgent_end()->value, 5000U);
  EXPECT_EQ(e.received.size(), 100U);
}

// ---- Acceptability ----

TEST_F(Receiving, SegmentOutsideTheWindowDrawsAnAckAndIsDropped) {
  arrive(kAck, static_cast<std::int64_t>(c().advertised().value) + 10, 0, pattern(10));
  EXPECT_EQ(ack_of(take()), 0);
  EXPECT_TRUE(e.received.empty());
  arrive(kAck, -100, 0, pattern(10));
  EXPECT_EQ(ack_of(take()), 0);
}

TEST_F(Receiving, DataBeyondTheEdgeIsCutOff) {
  const auto edge = static_cast<std::int64_t>(c().advertised().value);
  data(0, static_cast<std::size_t>(edge) + 500);
  EXPECT_EQ(c().received().value, static_cast<std::uint64_t>(edge));
}

TEST_F(Receiving, KeepaliveOfThePeerIsAnswered) {
  data(0), data(1460);
  take();
  now() += 10s;
  arrive(kAck, 2919, 0);
  EXPECT_EQ(ack_of(take()), 2920);
  arrive(kAck, 2919, 0, pattern(1));
  EXPECT_EQ(ack_of(take()), 2920);
}

TEST_F(Receiving, KeepaliveBeforeAnyDataIsAnswered) {
  now() += 10s;
  arrive(kAck, -1, 0);
  EXPECT_EQ(ack_of(take()), 0);
  arrive(kAck, -1, 0, pattern(1));
  EXPECT_EQ(ack_of(take()), 0);
  EXPECT_TRUE(e.received.empty());
}

// ---- Window ----

class Window : public Solo {
 protected:
  void start(std::uint64_t window, bool scaled) {
    e.window = window;
    e.unread_counts = true;
    if (scaled) {
      establish_modern();
    } else {
      establish();
    }
  }
  void data(std::int64_t at, std::size_t n) {
    bytes_ = pattern(n);
    arrive(kAck, at, 0, bytes_);
  }
  std::uint64_t offered(const Sent& s) {
    return static_cast<std::uint64_t>(ack_of(s)) + (std::uint64_t{s.header.window} << c().snapshot().receive_scale);
  }
  ByteVector bytes_;
};

// RFC9293: SHLD-14
TEST_F(Window, OfferedEdgeStaysWhereItIsWhileNothingIsRead) {
  start(20'000, false);
  data(0, 3000);
  EXPECT_EQ(offered(take()), 20'000U);
  data(3000, 3000);
  EXPECT_EQ(offered(take()), 20'000U);
  data(6000, 14'000);
  const Sent s = take();
  EXPECT_EQ(s.header.window, 0);
  EXPECT_EQ(ack_of(s), 20'000);
}

TEST_F(Window, ScaledEdgeNeverExceedsTheRoomNorRetreatsByMoreThanAGranule) {
  start(1'000'000, true);
  std::uint64_t last = 0, at = 0;
  for (std::size_t i = 0; at < 990'000; ++i) {
    const std::size_t n = 1449 + i % 1000;
    data(static_cast<std::int64_t>(at), n);
    at += n;
    e.consumed = at / 3;
    while (!silent()) {
      const Sent s = take();
      EXPECT_LE(offered(s), e.edge.value);
      EXPECT_GE(offered(s) + 256, last);
      last = std::max(last, offered(s));
    }
  }
  EXPECT_GT(last, 1'200'000U);
}

TEST_F(Window, GrowingRoomNeverMakesTheEdgeRetreat) {
  start(1'000'000, true);
  std::uint64_t last = 0, at = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    const std::size_t n = 1449 + i % 1000;
    data(static_cast<std::int64_t>(at), n);
    at += n;
    e.consumed = at;
    while (!silent()) {
      const std::uint64_t now_offered = offered(take());
      EXPECT_GE(now_offered, last);
      last = now_offered;
    }
  }
}

// RFC9293: MUST-39
TEST_F(Window, SillyUpdatesAreNotSent) {
  start(20'000, false);
  data(0, 20'000);
  take();
  e.consumed = 1000;
  c().on_allowance_changed(now());
  EXPECT_TRUE(silent());
  e.consumed = 1460;
  c().on_allowance_changed(now());
  EXPECT_EQ(take().header.window, 1460) << "from a closed window one segment is worth telling";
  e.consumed = 3000;
  c().on_allowance_changed(now());
  EXPECT_TRUE(silent());
  e.consumed = 1460 + 2920;
  c().on_allowance_changed(now());
  EXPECT_EQ(take().header.window, 4380);
}

TEST_F(Window, SillyGrowthIsKeptBackOnOtherSegmentsToo) {
  start(20'000, false);
  data(0, 20'000);
  take();
  e.consumed = 500;
  e.queue(pattern(10));
  EXPECT_EQ(take().header.window, 0);
}

TEST_F(Window, SmallBufferOpensAtHalf) {
  start(1000, false);
  data(0, 1000);
  pass(1s);
  take();
  e.consumed = 499;
  c().on_allowance_changed(now());
  EXPECT_TRUE(silent());
  e.consumed = 500;
  c().on_allowance_changed(now());
  EXPECT_EQ(take().header.window, 500);
}

// RFC9293: MUST-66
TEST_F(Window, ClosedWindowTakesAcksAndResets) {
  start(3000, false);
  data(0, 3000);
  take();
  e.queue(pattern(100));
  take();
  arrive(kAck, 3000, 100);
  EXPECT_EQ(e.acked.value, 100U);
  SegmentIn urgent = segment(kAck, 3000, 100);
  urgent.header.flags.urg = true;
  urgent.header.urgent = 3;
  arrive(urgent);
  EXPECT_EQ(c().urgent_end()->value, 3003U);
  arrive(kRst, 3000, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kPeerReset);
}

TEST_F(Window, ProbeOfAClosedWindowIsAnswered) {
  start(3000, false);
  data(0, 3000);
  take();
  for (int i = 0; i < 5; ++i) {
    now() += 1s;
    data(3000, 1);
    const Sent s = take();
    EXPECT_EQ(ack_of(s), 3000);
    EXPECT_EQ(s.header.window, 0);
  }
  EXPECT_EQ(e.received.size(), 3000U);
}

TEST_F(Window, CountsFromTheReleasedAck) {
  start(20'000, false);
  e.store_at_once = false;
  data(0, 3000);
  e.queue(pattern(10));
  const Sent s = take();
  EXPECT_EQ(ack_of(s), 0);
  EXPECT_EQ(s.header.window, 20'000);
}

}  // namespace
}  // namespace holdfast::tcp::test
