// RST and its validation, challenge ACKs, PAWS, refusals: RFC 9293 section 3.10.7, RFC 5961, RFC 7323 section 5.
#include "tcp/reset.h"

#include "solo.h"

namespace holdfast::tcp::test {
namespace {

class Resets : public Solo {
 protected:
  void SetUp() override {
    establish();
    e.store_at_once = false;
    arrive(kAck, 0, 0, pattern(3000));  // received, not stored
    e.out.clear();
    now() += 10s;
  }
};

TEST_F(Resets, ExactAtTheReleasedAckIsTaken) {
  arrive(kRst, 0, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kPeerReset);
  EXPECT_EQ(c().state(), State::kClosed);
  EXPECT_TRUE(silent());
}

TEST_F(Resets, ExactAtTheNextByteIsTaken) {
  arrive(kRst, 3000, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kPeerReset);
}

TEST_F(Resets, ElsewhereInTheWindowIsChallenged) {
  for (const std::int64_t at : {1, 2999, 3001, 50'000}) {
    arrive(kRst, at, 0);
    EXPECT_FALSE(e.close_reason);
    const Sent s = take();
    EXPECT_TRUE(s.bare());
    EXPECT_EQ(ack_of(s), 0);
  }
}

TEST_F(Resets, OutsideTheWindowIsIgnored) {
  arrive(kRst, -1, 0);
  arrive(kRst, static_cast<std::int64_t>(c().advertised().value) + 1, 0);
  EXPECT_FALSE(e.close_reason);
  EXPECT_TRUE(silent());
}

TEST_F(Resets, BelowTheReleasedAckIsIgnored) {
  e.store_all();
  e.out.clear();
  arrive(kRst, 0, 0);
  EXPECT_FALSE(e.close_reason);
  EXPECT_TRUE(silent());
  arrive(kRst, 3000, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kPeerReset);
}

TEST_F(Resets, SynInASynchronizedStateIsChallenged) {
  for (const std::int64_t at : {-1, 0, 5000, 1'000'000'000}) {
    arrive(kSyn, at, 0);
    EXPECT_TRUE(take().bare()) << at;
    EXPECT_EQ(c().state(), State::kEstablished);
  }
}

TEST_F(Resets, ChallengesAreLimitedAndComeBack) {
  for (int i = 0; i < 1000; ++i) arrive(kSyn, 10, 0);
  EXPECT_EQ(e.out.size(), 10U);
  e.out.clear();
  now() += 1s;
  for (int i = 0; i < 1000; ++i) arrive(kRst, 10, 0);
  EXPECT_EQ(e.out.size(), 10U);
}

// RFC 5961 section 5.2
TEST_F(Resets, AckOutsideWhatCanBeMeantIsChallengedAndItsDataDropped) {
  e.store_all();
  e.out.clear();
  arrive(kAck, 3000, 1, pattern(10));  // never sent
  EXPECT_TRUE(take().bare());
  arrive(kAck, 3000, -70'000, pattern(10));
  EXPECT_TRUE(take().bare());
  EXPECT_EQ(e.received.size(), 3000U);
  arrive(kAck, 3000, -60'000, pattern(10));
  EXPECT_EQ(e.received.size(), 3010U) << "old, but within the largest window";
}

TEST_F(Resets, SegmentWithoutAckIsDropped) {
  arrive(wire::TcpFlags{}, 3000, 0, pattern(10));
  EXPECT_EQ(e.received.size(), 3000U);
  EXPECT_TRUE(silent());
}

TEST_F(Resets, BareAcksThatAnswerEachOtherEnd) {
  for (int i = 0; i < 1000; ++i) arrive(kAck, -50, 0);
  EXPECT_LE(e.out.size(), 10U);
}

// RFC9293: MUST-12, SHLD-2
TEST_F(Resets, AbortSendsAResetAtSndNxt) {
  e.queue(pattern(100));
  take();
  c().abort(now());
  const Sent s = take();
  EXPECT_TRUE(s.header.flags.rst);
  EXPECT_EQ(seq_of(s), 100);
  EXPECT_EQ(ack_of(s), 0) << "what is released";
  EXPECT_EQ(e.close_reason, CloseReason::kAborted);
  EXPECT_EQ(c().deadline(), kNever);
}

TEST_F(Resets, NothingHappensAfterTheEnd) {
  arrive(kRst, 0, 0);
  c().abort(now());
  arrive(kAck, 0, 0, pattern(10));
  e.store_all();
  c().on_allowance_changed(now());
  c().on_deadline(now() + 1h);
  c().queue(pattern(10));
  EXPECT_EQ(c().send_room(), 0U);
  EXPECT_TRUE(silent());
}

TEST_F(Resets, AbortFromInsideACallbackIsSafe) {
  struct Aborter : Endpoint {
    bool deliver(Connection& connection_, StreamOffset at, Bytes payload, bool fin) override {
      const bool taken = Endpoint::deliver(connection_, at, payload, fin);
      connection_.abort(now);
      return taken;
    }
  } host;
  auto connection = Connection::accept(host, host.config, StreamId{1}, kTuple, syn(), our_iss, 0, now());
  connection->on_record_stored(now());
  connection->on_segment(segment(kAck, 1000, 0, pattern(100)), now());
  const ByteVector bytes = pattern(1000);
  connection->on_segment(segment(kFinAck, 0, 0, bytes), now());
  EXPECT_EQ(host.close_reason, CloseReason::kAborted);
  EXPECT_TRUE(host.out.back().header.flags.rst);
}

// ---- PAWS ----

class Paws : public Solo {
 protected:
  void SetUp() override {
    establish_modern();
    peer_ts = 70010;
    arrive(kAck, 0, 0, pattern(2000));
    e.out.clear();
    now() += 10s;
  }
};

TEST_F(Paws, OldTimestampIsDroppedAndAnswered) {
  peer_ts = 70009;
  arrive(kAck, 2000, 0, pattern(100));
  EXPECT_EQ(e.received.size(), 2000U);
  EXPECT_EQ(ack_of(take()), 2000);
}

TEST_F(Paws, EqualTimestampPasses) {
  arrive(kAck, 2000, 0, pattern(100));
  EXPECT_EQ(e.received.size(), 2100U);
}

TEST_F(Paws, OldTimestampIsNoReasonToIgnoreAReset) {
  peer_ts = 1;
  arrive(kRst, 2000, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kPeerReset);
}

TEST_F(Paws, AfterTwentyFourIdleDaysAnyTimestampIsTaken) {
  now() += std::chrono::hours(24 * 24);
  peer_ts = 5;
  arrive(kAck, 2000, 0, pattern(100));
  EXPECT_EQ(e.received.size(), 2100U);
}

TEST_F(Paws, TimestampsWrap) {
  peer_ts = 70010U + 0x7fffffffU;
  arrive(kAck, 2000, 0, pattern(100));
  peer_ts += 0x7fffffffU;  // beyond the wrap
  arrive(kAck, 2100, 0, pattern(100));
  EXPECT_EQ(e.received.size(), 2200U);
}

// RFC 7323 section 3.2
TEST_F(Paws, SegmentWithoutTheOptionIsDropped) {
  SegmentIn s = segment(kAck, 2000, 0, pattern(100));
  s.header.options.timestamps.reset();
  arrive(s);
  EXPECT_EQ(e.received.size(), 2000U);
  EXPECT_TRUE(silent());
}

// ---- Segments of no connection: RFC 9293 section 3.10.7.1 ----

TEST(Refusal, AnswersAnAckAtItsAck) {
  SegmentIn s;
  s.header.source = wire::Port{1};
  s.header.destination = wire::Port{2};
  s.header.flags.ack = true;
  s.header.ack = wire::SeqNum{77};
  const auto r = refusal_for(s);
  ASSERT_TRUE(r);
  EXPECT_TRUE(r->flags.rst && !r->flags.ack);
  EXPECT_EQ(r->seq.value, 77U);
  EXPECT_EQ(r->source.value, 2);
  EXPECT_EQ(r->destination.value, 1);
}

TEST(Refusal, AcknowledgesWhatHadNoAck) {
  SegmentIn s;
  s.header.flags.syn = s.header.flags.fin = true;
  s.header.seq = wire::SeqNum{0xffffffff};
  const ByteVector bytes = pattern(5);
  s.payload = bytes;
  const auto r = refusal_for(s);
  EXPECT_TRUE(r->flags.rst && r->flags.ack);
  EXPECT_EQ(r->seq.value, 0U);
  EXPECT_EQ(r->ack.value, 6U);
}

TEST(Refusal, NeverAnswersAReset) {
  SegmentIn s;
  s.header.flags.rst = s.header.flags.ack = true;
  EXPECT_FALSE(refusal_for(s));
}

}  // namespace
}  // namespace holdfast::tcp::test
