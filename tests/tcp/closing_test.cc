// The end of connections: RFC 9293 section 3.6, figures 12 and 13, and TIME-WAIT.
#include "solo.h"

namespace holdfast::tcp::test {
namespace {

using Transitions = std::vector<std::pair<State, State>>;

class Closing : public Solo {
 protected:
  void SetUp() override { establish(); }
  void to_time_wait() {
    e.finish_writing();
    take();
    arrive(kAck, 0, 1);
    arrive(kFinAck, 0, 1);
    ASSERT_EQ(c().state(), State::kTimeWait);
    take();
  }
};

// Figure 12, our side first.
TEST_F(Closing, ActiveClose) {
  e.finish_writing();
  const Sent fin = take();
  EXPECT_TRUE(fin.header.flags.fin);
  EXPECT_EQ(c().state(), State::kFinWait1);
  arrive(kAck, 0, 1);
  EXPECT_EQ(c().state(), State::kFinWait2);
  EXPECT_TRUE(e.acked_fin);
  arrive(kFinAck, 0, 1);
  EXPECT_EQ(c().state(), State::kTimeWait);
  EXPECT_EQ(ack_of(take()), 1);
  EXPECT_EQ(e.transitions, (Transitions{{State::kEstablished, State::kFinWait1},
                                        {State::kFinWait1, State::kFinWait2},
                                        {State::kFinWait2, State::kTimeWait}}));
}

// Figure 12, the other side first.
TEST_F(Closing, PassiveClose) {
  arrive(kFinAck, 0, 0);
  EXPECT_EQ(c().state(), State::kCloseWait);
  EXPECT_EQ(ack_of(take()), 1);
  e.queue(pattern(100));  // half-closed: we may go on
  EXPECT_EQ(take().payload.size(), 100U);
  e.finish_writing();
  EXPECT_TRUE(take().header.flags.fin);
  EXPECT_EQ(c().state(), State::kLastAck);
  arrive(kAck, 1, 101);
  EXPECT_EQ(c().state(), State::kClosed);
  EXPECT_EQ(e.close_reason, CloseReason::kNormal);
  EXPECT_TRUE(silent());
}

// Figure 13.
TEST_F(Closing, SimultaneousClose) {
  e.finish_writing();
  take();
  arrive(kFinAck, 0, 0);
  EXPECT_EQ(c().state(), State::kClosing);
  EXPECT_EQ(ack_of(take()), 1);
  arrive(kAck, 1, 1);
  EXPECT_EQ(c().state(), State::kTimeWait);
  EXPECT_EQ(c().deadline(), now() + 2 * e.config.msl);
}

TEST_F(Closing, FinAndAckOfOursInOneSegment) {
  e.finish_writing();
  take();
  arrive(kFinAck, 0, 1);
  EXPECT_EQ(c().state(), State::kTimeWait);
}

TEST_F(Closing, FinWait2StillReceives) {
  e.finish_writing();
  take();
  arrive(kAck, 0, 1);
  arrive(kAck, 0, 1, pattern(100));
  EXPECT_EQ(e.received.size(), 100U);
}

TEST_F(Closing, FinRidesOnTheLastData) {
  e.store_outbound = false;
  e.queue(pattern(100));
  c().queue_fin();
  c().on_outbound_stored(StreamOffset{100}, true, now());
  const Sent s = take();
  EXPECT_EQ(s.payload.size(), 100U);
  EXPECT_TRUE(s.header.flags.fin && s.header.flags.psh);
}

TEST_F(Closing, LostFinIsSentAgain) {
  e.finish_writing();
  take();
  expire();
  const Sent s = take();
  EXPECT_TRUE(s.header.flags.fin);
  EXPECT_EQ(seq_of(s), 0);
}

TEST_F(Closing, DataAndFinLostTogetherComeAgainTogether) {
  e.store_outbound = false;
  e.queue(pattern(100));
  c().queue_fin();
  c().on_outbound_stored(StreamOffset{100}, true, now());
  take();
  expire();
  const Sent s = take();
  EXPECT_EQ(s.payload, pattern(100));
  EXPECT_TRUE(s.header.flags.fin);
}

// RFC9293: MUST-13
TEST_F(Closing, TimeWaitLastsTwiceTheMsl) {
  to_time_wait();
  const Time from = now();
  pass(2 * e.config.msl - 1ns);
  EXPECT_EQ(c().state(), State::kTimeWait);
  pass(1ns);
  EXPECT_EQ(e.close_reason, CloseReason::kNormal);
  EXPECT_EQ(now() - from, 60s);
}

TEST_F(Closing, RepeatedFinIsAcknowledgedAndStartsTimeWaitAnew) {
  to_time_wait();
  now() += 50s;
  arrive(kFinAck, 0, 1);
  EXPECT_EQ(ack_of(take()), 1);
  EXPECT_EQ(c().deadline(), now() + 60s);
}

TEST_F(Closing, RepeatedFinInCloseWaitIsAcknowledged) {
  arrive(kFinAck, 0, 0);
  take();
  arrive(kFinAck, 0, 0);
  EXPECT_EQ(ack_of(take()), 1);
  EXPECT_EQ(c().state(), State::kCloseWait);
}

// RFC9293: MAY-2, SHLD-4 (RFC 6191)
TEST_F(Closing, TimeWaitGivesWayToALaterSyn) {
  to_time_wait();
  EXPECT_FALSE(c().may_be_replaced_by(segment(kSyn, 0, 0)));
  EXPECT_TRUE(c().may_be_replaced_by(segment(kSyn, 1000, 0)));
  EXPECT_FALSE(c().may_be_replaced_by(segment(kSyn, -1000, 0)));
  EXPECT_FALSE(c().may_be_replaced_by(segment(kAck, 1000, 0)));
}

TEST_F(Closing, TimeWaitWithTimestampsGoesByThem) {
  establish_modern();
  to_time_wait();
  peer_ts += 1;
  EXPECT_TRUE(c().may_be_replaced_by(segment(kSyn, -1000, 0)));
  peer_ts -= 2;
  EXPECT_FALSE(c().may_be_replaced_by(segment(kSyn, 1000, 0)));
}

TEST_F(Closing, OnlyTimeWaitGivesWay) { EXPECT_FALSE(c().may_be_replaced_by(segment(kSyn, 1000, 0))); }

TEST_F(Closing, ResetEndsEveryState) {
  arrive(kFinAck, 0, 0);
  take();
  arrive(kRst, 1, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kPeerReset);
}

TEST_F(Closing, ResetEndsTimeWait) {
  to_time_wait();
  arrive(kRst, 1, 0);
  EXPECT_EQ(c().state(), State::kClosed);
}

TEST_F(Closing, NewDataAfterTheirFinIsIgnored) {
  arrive(kFinAck, 0, 0);
  take();
  arrive(kAck, 1, 0, pattern(10));
  EXPECT_TRUE(e.received.empty());
}

TEST_F(Closing, FinGoesAfterDataThatTheWindowHoldsBack) {
  peer_window = 50;
  establish();
  e.queue(pattern(100));
  e.finish_writing();
  const Sent s = take();
  EXPECT_EQ(s.payload.size(), 50U);
  EXPECT_FALSE(s.header.flags.fin);
  peer_window = 1000;
  arrive(kAck, 0, 50);
  const Sent rest = take();
  EXPECT_EQ(rest.payload.size(), 50U);
  EXPECT_TRUE(rest.header.flags.fin);
}

}  // namespace
}  // namespace holdfast::tcp::test
