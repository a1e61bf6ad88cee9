// What differs from a plain stack: notes, released pairs, and what may leave when.
#include "solo.h"

namespace holdfast::tcp::test {
namespace {

class GateRules : public Solo {
 protected:
  void SetUp() override {
    establish_modern();
    e.store_at_once = false;
  }
  // `n` full segments in order from `at`.
  void data(std::int64_t at, std::size_t n = 1448) {
    bytes_ = pattern(n);
    arrive(kAck, at, 0, bytes_);
  }
  ByteVector bytes_;
};

TEST_F(GateRules, AckIsHeldUntilTheBytesAreStored) {
  data(0);
  data(1448);
  EXPECT_EQ(c().received().value, 2896U);
  EXPECT_TRUE(silent());
  ASSERT_EQ(e.held.size(), 1U);
  EXPECT_EQ(e.held[0].in_end.value, 2896U);
  EXPECT_EQ(c().released().value, 0U);
  e.store_all();
  EXPECT_EQ(ack_of(take()), 2896);
  EXPECT_EQ(c().released().value, 2896U);
}

TEST_F(GateRules, NotesComeBackUnchangedAndEachDrawsItsAck) {
  data(0), data(1448), data(2896), data(4344);
  ASSERT_EQ(e.held.size(), 2U);
  e.store_all();
  EXPECT_EQ(ack_of(take()), 2896);
  EXPECT_EQ(ack_of(take()), 5792);
}

TEST_F(GateRules, EverySegmentCarriesTheReleasedPair) {
  data(0), data(1448);
  peer_ts += 10;
  e.queue(pattern(10));
  const Sent s = take();
  EXPECT_EQ(ack_of(s), 0);
  EXPECT_EQ(s.header.options.timestamps->echo_reply, 70000U);
  EXPECT_TRUE(silent());
}

TEST_F(GateRules, DataThatLeavesWithTheReleaseCarriesIt) {
  data(0), data(1448);
  e.store_outbound = false;
  e.queue(pattern(10));
  e.stored = 2896;
  const AckNote note = e.held.front();
  c().release(note, now(), true);
  EXPECT_TRUE(silent()) << "more is to come in this turn";
  c().on_outbound_stored(StreamOffset{10}, false, now());
  const Sent s = take();
  EXPECT_EQ(s.payload.size(), 10U);
  EXPECT_EQ(ack_of(s), 2896);
  c().flush_acknowledgement(now());
  EXPECT_TRUE(silent());
}

TEST_F(GateRules, EndOfTheTurnAcknowledgesWhatNothingCarried) {
  data(0), data(1448);
  e.stored = 2896;
  c().release(e.held.front(), now(), true);
  EXPECT_TRUE(silent());
  c().flush_acknowledgement(now());
  EXPECT_EQ(ack_of(take()), 2896);
}

TEST_F(GateRules, AnswerInsideDeliverNotesAtOnce) {
  e.echo = true;
  e.store_outbound = false;
  data(0, 100);
  EXPECT_EQ(e.held.size(), 1U) << "not after the delayed-ACK timer";
}

TEST_F(GateRules, DataCarriesADelayedAckThatIsStoredAlready) {
  e.store_at_once = true;
  data(0, 100);
  EXPECT_TRUE(silent());
  e.queue(pattern(10));
  EXPECT_EQ(ack_of(take()), 100);
  EXPECT_TRUE(silent());
  pass(1s);
  EXPECT_EQ(e.notes, 1U);
}

TEST_F(GateRules, ReleaseFromInsideHoldIsSafe) {
  e.store_at_once = true;
  data(0), data(1448), data(2896), data(4344);
  EXPECT_EQ(ack_of(take()), 2896);
  EXPECT_EQ(ack_of(take()), 5792);
}

// ---- SACK and DSACK ----

TEST_F(GateRules, SackWaitsForTheGapsEdge) {
  data(0), data(1448);
  data(5000, 500);  // above a gap, while 2896 is not stored
  ASSERT_EQ(e.held.size(), 2U);
  e.queue(pattern(10));
  EXPECT_TRUE(take().header.options.sack.empty()) << "an ACK below the gap's edge says nothing of what is above";
  e.store_all();
  const Sent s = take();
  EXPECT_EQ(ack_of(s), 2896);
  ASSERT_EQ(s.header.options.sack.count, 1);
  EXPECT_EQ(left_of(s.header.options.sack.blocks[0]), 5000);
  EXPECT_EQ(right_of(s.header.options.sack.blocks[0]), 5500);
  EXPECT_EQ(ack_of(take()), 2896) << "the out-of-order segment's own";
}

TEST_F(GateRules, DuplicateAcksForAGapThatWasFilledMeanwhileAreLeftOut) {
  data(0), data(1448);
  data(5000, 500), data(5500, 500), data(6000, 500);
  ASSERT_EQ(e.held.size(), 4U);
  data(2896, 2104);
  e.store_all();
  EXPECT_EQ(ack_of(take()), 2896);
  EXPECT_EQ(ack_of(take()), 6500);
  EXPECT_TRUE(silent());
}

TEST_F(GateRules, DuplicateAcksForAGapThatIsOpenAllLeave) {
  data(0), data(1448);
  data(5000, 500), data(5500, 500), data(6000, 500);
  e.store_all();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ack_of(take()), 2896);
}

TEST_F(GateRules, DuplicateAboveAGapIsNotReportedBelowTheEdgeThatMovedMeanwhile) {
  data(5000, 500);
  e.store_all();
  e.out.clear();
  data(0), data(1448);
  data(5000, 500);  // noted with the edge at 2896
  data(2896, 1000);
  while (!e.held.empty() && e.held.front().in_end.value <= 2896) {
    e.stored = 2896;
    const AckNote note = e.held.front();
    e.held.pop_front();
    c().release(note, now());
    while (!silent()) EXPECT_TRUE(take().header.options.sack.empty());
  }
  e.store_all();
  const Sent s = take();
  EXPECT_EQ(ack_of(s), 3896);
  EXPECT_FALSE(s.header.options.sack.empty());
}

TEST_F(GateRules, DuplicateOfStoredBytesIsAnsweredAtOnceWithDsack) {
  data(0), data(1448);
  e.store_all();
  take();
  data(0);
  const Sent s = take();
  EXPECT_EQ(ack_of(s), 2896);
  ASSERT_EQ(s.header.options.sack.count, 1);
  EXPECT_EQ(left_of(s.header.options.sack.blocks[0]), 0);
  EXPECT_EQ(right_of(s.header.options.sack.blocks[0]), 1448);
}

TEST_F(GateRules, DuplicateOfUnstoredBytesIsNot) {
  data(0), data(1448);
  data(0);
  EXPECT_TRUE(silent());
  e.store_all();
  EXPECT_TRUE(take().header.options.sack.empty());
  const Sent s = take();
  EXPECT_EQ(ack_of(s), 2896);
  ASSERT_EQ(s.header.options.sack.count, 1) << "its DSACK leaves with the ACK that covers it";
  EXPECT_EQ(left_of(s.header.options.sack.blocks[0]), 0);
}

TEST_F(GateRules, ManyDuplicatesOfUnstoredBytesCostNothing) {
  data(0), data(1448);
  for (int i = 0; i < 1000; ++i) data(0);
  EXPECT_TRUE(silent());
  EXPECT_LE(e.held.size(), 2U);
}

TEST_F(GateRules, NotesForOneEdgeAreBounded) {
  data(0), data(1448);
  for (int i = 0; i < 1000; ++i) data(4000 + i * 10, 5);
  EXPECT_LE(e.held.size(), 16U);
}

TEST_F(GateRules, NotesAltogetherAreBounded) {
  for (int i = 0; i < 20'000; ++i) {  // fills of one byte each, all at once noted because something lies above
    if (i == 0) data(50'000, 5);
    data(i, 1);
  }
  EXPECT_LE(e.most_held, 5000U);
  EXPECT_GT(e.most_held, 4000U);
  EXPECT_EQ(c().received().value, 20'000U);
  e.store_all();
  EXPECT_EQ(c().released().value, 20'000U) << "and what was not noted then is afterwards";
}

// ---- RFC 7323 with the noted ACK as Last.ACK.sent ----

TEST_F(GateRules, TimestampMovesOnWithNotedAcks) {
  data(0), data(1448);
  peer_ts += 5;
  data(2896), data(4344);
  peer_ts += 5;
  data(5792), data(7240);
  EXPECT_TRUE(silent());
  e.store_all();
  EXPECT_EQ(take().header.options.timestamps->echo_reply, 70000U);
  EXPECT_EQ(take().header.options.timestamps->echo_reply, 70005U) << "as noted, not as of now";
  EXPECT_EQ(take().header.options.timestamps->echo_reply, 70010U);
}

// RFC 7323 section 4.3: the earliest of the segments that a delayed ACK covers.
TEST_F(GateRules, DelayedAckEchoesTheFirstOfTheTwo) {
  peer_ts = 70001;
  data(0);
  peer_ts = 70002;
  data(1448);
  e.store_all();
  EXPECT_EQ(take().header.options.timestamps->echo_reply, 70001U);
}

TEST_F(GateRules, SegmentAboveAGapDoesNotMoveTheTimestamp) {
  peer_ts = 80000;
  data(5000);
  e.store_all();
  EXPECT_EQ(take().header.options.timestamps->echo_reply, 70000U);
}

// ---- Outbound ----

TEST_F(GateRules, BytesLeaveOnlyOnceStored) {
  e.store_outbound = false;
  e.queue(pattern(5000));
  EXPECT_TRUE(silent());
  c().on_outbound_stored(StreamOffset{1448}, false, now());
  EXPECT_EQ(take().payload.size(), 1448U);
  EXPECT_TRUE(silent());
  c().on_outbound_stored(StreamOffset{5000}, false, now());
  EXPECT_EQ(take().payload.size(), 3552U);
}

TEST_F(GateRules, FinLeavesOnlyOnceStored) {
  e.store_outbound = false;
  e.queue(pattern(10));
  c().queue_fin();
  c().on_outbound_stored(StreamOffset{10}, false, now());
  EXPECT_FALSE(take().header.flags.fin);
  EXPECT_EQ(c().state(), State::kEstablished);
  c().on_outbound_stored(StreamOffset{10}, true, now());
  EXPECT_TRUE(take().header.flags.fin);
  EXPECT_EQ(c().state(), State::kFinWait1);
}

// ---- FIN ----

TEST_F(GateRules, FinIsAcknowledgedOnceStored) {
  data(0, 100);
  arrive(kFinAck, 100, 0);
  EXPECT_EQ(c().state(), State::kCloseWait);
  EXPECT_TRUE(e.received_fin);
  EXPECT_TRUE(silent());
  ASSERT_EQ(e.held.size(), 1U);
  EXPECT_TRUE(e.held[0].covers_fin);
  EXPECT_EQ(e.held[0].in_end.value, 100U);
  e.store_all();
  EXPECT_EQ(ack_of(take()), 101);
}

TEST_F(GateRules, TimeWaitStartsWhenTheAckOfTheFinIsReleased) {
  e.finish_writing();
  take();
  arrive(kAck, 0, 1);
  arrive(kFinAck, 0, 1);
  EXPECT_EQ(c().state(), State::kTimeWait);
  EXPECT_TRUE(silent());
  EXPECT_EQ(c().deadline(), kNever);
  now() += 10s;
  e.store_all();
  EXPECT_EQ(ack_of(take()), 1);
  EXPECT_EQ(c().deadline(), now() + 2 * e.config.msl);
}

TEST_F(GateRules, OurFinWaitsForTheAckOfTheirs) {
  arrive(kFinAck, 0, 0);
  e.queue(pattern(10));
  e.finish_writing();
  EXPECT_FALSE(take().header.flags.fin);
  EXPECT_EQ(c().state(), State::kCloseWait);
  e.store_all();
  const Sent s = take();
  EXPECT_TRUE(s.header.flags.fin);
  EXPECT_EQ(ack_of(s), 1);
  EXPECT_EQ(c().state(), State::kLastAck);
}

// ---- Storage stands still ----

TEST_F(GateRules, StallClosesTheWindowAndAnswersEveryRetransmission) {
  data(0), data(1448);
  e.stalled = true;
  c().on_allowance_changed(now());
  Sent s = take();
  EXPECT_EQ(s.header.window, 0);
  EXPECT_EQ(ack_of(s), 0);
  data(0);
  s = take();
  EXPECT_EQ(s.header.window, 0);
  EXPECT_EQ(ack_of(s), 0) << "the released pair";
  data(0);
  EXPECT_EQ(take().header.window, 0);
  e.stalled = false;
  c().on_allowance_changed(now());
  EXPECT_GT(take().header.window, 0);
}

TEST_F(GateRules, DelayedAckTimerRestsDuringAStall) {
  data(0, 100);
  EXPECT_NE(c().deadline(), kNever);
  e.stalled = true;
  c().on_allowance_changed(now());
  EXPECT_EQ(c().deadline(), kNever);
  e.stalled = false;
  c().on_allowance_changed(now());
  EXPECT_EQ(c().deadline(), now() + e.config.delayed_ack);
}

TEST_F(GateRules, RefusedDeliveryIsForgotten) {
  e.refuse_delivery = true;
  data(0);
  data(1448), data(2896);
  EXPECT_EQ(c().received().value, 0U);
  EXPECT_TRUE(silent()) << "duplicate ACKs would only bring it back sooner";
  EXPECT_TRUE(e.held.empty());
  e.refuse_delivery = false;
  data(0), data(1448);
  EXPECT_EQ(c().received().value, 2896U);
}

}  // namespace
}  // namespace holdfast::tcp::test
