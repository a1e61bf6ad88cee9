// A replacement takes over: what is stored is all it knows.
#include "solo.h"
#include "tcp/state.h"
#include "world.h"

namespace holdfast::tcp::test {
namespace {

class Resume : public Solo {
 protected:
  Snapshot s;
  ByteVector outbound = pattern(5000);

  void SetUp() override {
    peer_timestamps = peer_sack = true;
    now() += 1000s;
    s.tuple = kTuple;
    s.state = State::kEstablished;
    s.iss = our_iss;
    s.irs = peer_iss;
    s.send_mss = 1460;
    s.receive_mss = 1460;
    s.timestamps = s.sack = s.window_scale = true;
    s.send_scale = 0;
    s.receive_scale = 0;
    s.ts_offset = 100;
    s.ts_recent = 70000;
    s.snd_wnd = 60'000;
    s.rcv_end = StreamOffset{2000};
    s.edge = StreamOffset{50'000};
    s.msl = 30s;
    e.received.resize(2000);
    e.stored = 2000;
  }
  void resume() {
    e.received_fin = e.stored_fin = s.rcv_fin;
    e.connection = Connection::resume(e, e.config, StreamId{1}, s, now());
    const auto all = Bytes(outbound);
    c().queue(all.subspan(s.snd_una.value, s.snd_end - s.snd_una));
    c().on_outbound_stored(s.snd_end, s.snd_fin, now());
    EXPECT_TRUE(silent()) << "speak() comes first";
    c().speak(now());
  }
};

TEST_F(Resume, SpeaksFirstWithTheReleasedPair) {
  resume();
  EXPECT_EQ(c().state(), State::kEstablished);
  const Sent spoken = take();
  EXPECT_TRUE(spoken.bare());
  EXPECT_EQ(ack_of(spoken), 2000);
  EXPECT_EQ(seq_of(spoken), 0);
  EXPECT_EQ(spoken.header.options.timestamps->echo_reply, 0U) << "what was stored with the connection is old";
  EXPECT_EQ(spoken.header.options.timestamps->value, e.timestamp_clock() + 100);
  EXPECT_TRUE(silent());
  arrive(kAck, 2000, 0, pattern(3000));
  EXPECT_EQ(c().received().value, 5000U);
}

// An ACK of something new that echoes what the log has, seconds or minutes old, is a sample of just that for the peer.
TEST_F(Resume, EchoesNothingUntilItHasHeardSomethingNew) {
  resume();
  take();
  peer_ts = 80000;
  arrive(kAck, 4000, 0, pattern(1000));  // above a gap: does not count
  const Sent duplicate = take();
  EXPECT_EQ(ack_of(duplicate), 2000);
  EXPECT_EQ(duplicate.header.options.timestamps->echo_reply, 0U);
  arrive(kAck, 2000, 0, pattern(2000));
  const Sent answer = take();
  EXPECT_EQ(ack_of(answer), 5000);
  EXPECT_EQ(answer.header.options.timestamps->echo_reply, 80000U);
}

// It may be a cookie that keeps its options in it; and where our ACK of it arrived it is no sample.
TEST_F(Resume, EchoesTheSynAckWhereNothingElseHasCome) {
  s.active_open = true;
  s.rcv_end = s.edge = StreamOffset{};
  e.received.clear();
  e.stored = 0;
  resume();
  EXPECT_EQ(take().header.options.timestamps->echo_reply, 70000U);
}

// The log's is as old as the SYN. The SYN that comes again has a new one, but nothing shows that it is the peer's.
TEST_F(Resume, SynAckEchoesNothingUntilItIsAnswered) {
  s.state = State::kSynReceived;
  s.rcv_end = s.edge = StreamOffset{};
  e.received.clear();
  e.stored = 0;
  resume();
  const Sent first = take();
  EXPECT_TRUE(first.header.flags.syn);
  EXPECT_EQ(first.header.options.timestamps->echo_reply, 0U);
  now() += 1s;
  peer_ts = 75000;
  arrive(syn({.syn = true}));
  const Sent again = take();
  EXPECT_TRUE(again.header.flags.syn);
  EXPECT_EQ(again.header.options.timestamps->echo_reply, 0U);
  peer_ts = 76000;
  arrive(kAck, 0, 0, pattern(10));
  EXPECT_EQ(take().header.options.timestamps->echo_reply, 76000U);
}

// Nobody knows how old the log's is: the peer's clock may have gone half way round since.
TEST_F(Resume, PawsRejectsWhatIsJustOlderThanTheLogsAndNothingElse) {
  resume();
  take();
  peer_ts = 70000U - 1000U;
  arrive(kAck, 2000, 0, pattern(10));
  EXPECT_EQ(c().received().value, 2000U) << "an old duplicate";
  take();
  peer_ts = 70000U + 0x80000001U;
  arrive(kAck, 2000, 0, pattern(3000));
  EXPECT_EQ(c().received().value, 5000U);
  take();
  peer_ts -= 1000U;
  arrive(kAck, 5000, 0, pattern(10));
  EXPECT_EQ(c().received().value, 5000U) << "and is PAWS' ordinary rule from then on";
}

// The peer has waited for the replacement already.
TEST_F(Resume, AcknowledgesTheFirstDataAtOnceAndDelaysAsEverAfterwards) {
  resume();
  take();
  arrive(kAck, 2000, 0, pattern(1));
  EXPECT_EQ(ack_of(take()), 2001);
  arrive(kAck, 2001, 0, pattern(1));
  EXPECT_TRUE(silent()) << "the delayed-ACK timer runs";
}

TEST_F(Resume, SpeaksAtTheStoredEndInsideTheWindow) {
  s.snd_una = StreamOffset{1000};
  s.snd_end = StreamOffset{5000};
  resume();
  EXPECT_EQ(seq_of(take()), 5000);
  const Sent first = take();
  EXPECT_EQ(seq_of(first), 1000) << "then one segment from SND.UNA";
  EXPECT_EQ(first.payload.size(), 1448U);
  EXPECT_TRUE(silent());
}

TEST_F(Resume, SpeaksNoFurtherThanTheWindow) {
  s.snd_end = StreamOffset{5000};
  s.snd_wnd = 2000;
  resume();
  EXPECT_EQ(seq_of(take()), 2000);
}

// The snapshot lags: the peer has more than it says.
TEST_F(Resume, LearnsFromTheAnswerAndGoesOn) {
  s.snd_una = StreamOffset{1000};
  s.snd_end = StreamOffset{5000};
  resume();
  e.out.clear();
  arrive(kAck, 2000, 4000);
  EXPECT_EQ(e.acked.value, 4000U);
  const Sent rest = take();
  EXPECT_EQ(seq_of(rest), 4000);
  EXPECT_EQ(rest.payload, ByteVector(outbound.begin() + 4000, outbound.end()));
  EXPECT_TRUE(silent());
}

TEST_F(Resume, SpeaksAgainWhenItsSequenceNumberWasBad) {
  s.snd_una = StreamOffset{1000};
  s.snd_end = StreamOffset{5000};
  s.snd_wnd = 1000;
  resume();
  EXPECT_EQ(seq_of(take()), 2000);
  e.out.clear();
  arrive(kAck, 2000, 5000);
  const Sent again = take();
  EXPECT_TRUE(again.bare());
  EXPECT_EQ(seq_of(again), 5000);
  EXPECT_TRUE(silent());
}

// Its predecessor had more room, and the peer has used it: the SEQ of its ACKs lies beyond what there is room for now.
TEST_F(Resume, TakesAcksFromBeyondTheRoomThatIsLeft) {
  s.snd_end = StreamOffset{5000};
  s.room_end = s.rcv_end;
  e.window = 0;
  resume();
  e.out.clear();
  arrive(kAck, 40'000, 5000);
  EXPECT_EQ(e.acked.value, 5000U);
  arrive(kAck, 2000, 5000, pattern(100));
  EXPECT_EQ(c().received().value, 2000U) << "for data there is no room";
  EXPECT_EQ(c().snapshot().edge.value, 50'000U) << "the next replacement has to know, too";
}

TEST_F(Resume, AckBeyondWhatWasStoredIsNotAcceptable) {
  s.snd_end = StreamOffset{5000};
  resume();
  e.out.clear();
  arrive(kAck, 2000, 5001);
  EXPECT_EQ(e.acked.value, 0U);
  arrive(kAck, 2000, 5000);
  EXPECT_EQ(e.acked.value, 5000U);
}

TEST_F(Resume, RetransmitsFromUnaWhereNobodyAnswers) {
  s.snd_end = StreamOffset{5000};
  resume();
  take(), take();
  expire();
  const Sent again = take();
  EXPECT_EQ(seq_of(again), 0);
  EXPECT_EQ(again.payload.size(), 1448U);
}

TEST_F(Resume, EchoesFromBeforeAreNoSamples) {
  s.snd_end = StreamOffset{5000};
  resume();
  last_tsval = e.timestamp_clock() + 100 - 5000;
  arrive(kAck, 2000, 1448);
  EXPECT_EQ(c().smoothed_rtt(), Duration::zero());
  take(), take();
  while (!silent()) take();
  now() += 20ms;
  arrive(kAck, 2000, 5000);
  EXPECT_EQ(c().smoothed_rtt(), 20ms);
}

// Not even while our own TSval passes through 0.
TEST_F(Resume, AnEchoOfZeroIsNoSample) {
  s.snd_end = StreamOffset{5000};
  s.ts_offset = 0U - e.timestamp_clock() - 50;
  resume();
  while (!silent()) take();
  now() += 100ms;
  last_tsval = 0;
  arrive(kAck, 2000, 1448);
  EXPECT_EQ(c().smoothed_rtt(), Duration::zero());
}

TEST_F(Resume, HonoursTheEdgeThatMayHaveBeenAdvertised) {
  e.window = 100;
  resume();
  take();
  arrive(kAck, 49'000, 0, pattern(1000));
  take();
  arrive(kRst, 49'999, 0);
  EXPECT_TRUE(take().bare()) << "in the window: a challenge";
  EXPECT_FALSE(e.close_reason);
}

TEST_F(Resume, SnapshotOfAResumedConnectionIsTheSame) {
  s.snd_una = StreamOffset{1000};
  s.snd_end = StreamOffset{5000};
  resume();
  const Snapshot t = c().snapshot();
  EXPECT_EQ(t.snd_una, s.snd_una);
  EXPECT_EQ(t.snd_end, s.snd_end);
  EXPECT_EQ(t.rcv_end, s.rcv_end);
  EXPECT_EQ(t.iss, s.iss);
  EXPECT_EQ(t.irs, s.irs);
  EXPECT_EQ(t.ts_offset, s.ts_offset);
  EXPECT_EQ(t.state, s.state);
}

// ---- Every state ----

TEST_F(Resume, SynSentRepeatsTheSyn) {
  s.state = State::kSynSent;
  s.active_open = true;
  s.rcv_end = s.edge = StreamOffset{};
  e.received.clear();
  e.stored = 0;
  resume();
  const Sent syn_ = take();
  EXPECT_TRUE(syn_.header.flags.syn && !syn_.header.flags.ack);
  EXPECT_EQ(syn_.header.seq, our_iss);
  arrive(syn(kSynAckFlags));
  EXPECT_EQ(c().state(), State::kEstablished);
}

TEST_F(Resume, SynReceivedRepeatsTheSynAck) {
  s.state = State::kSynReceived;
  s.rcv_end = s.edge = StreamOffset{};
  e.received.clear();
  e.stored = 0;
  resume();
  const Sent syn_ack = take();
  EXPECT_TRUE(syn_ack.header.flags.syn && syn_ack.header.flags.ack);
  EXPECT_TRUE(syn_ack.header.options.timestamps && syn_ack.header.options.sack_permitted &&
              syn_ack.header.options.window_scale);
  arrive(kAck, 0, 0, pattern(10));
  EXPECT_EQ(c().state(), State::kEstablished);
  EXPECT_EQ(e.received.size(), 10U);
}

TEST_F(Resume, StoredDataProvesThatSynReceivedIsOver) {
  s.state = State::kSynReceived;
  resume();
  EXPECT_EQ(c().state(), State::kEstablished);
}

TEST_F(Resume, StoredInboundFinMeansCloseWait) {
  s.rcv_fin = true;
  resume();
  EXPECT_EQ(c().state(), State::kCloseWait);
  EXPECT_EQ(ack_of(take()), 2001);
  e.finish_writing();
  EXPECT_TRUE(take().header.flags.fin);
  EXPECT_EQ(c().state(), State::kLastAck);
}

TEST_F(Resume, StoredOutboundFinMeansFinWait1) {
  s.snd_end = StreamOffset{1000};
  s.snd_fin = true;
  resume();
  EXPECT_EQ(c().state(), State::kFinWait1);
  EXPECT_EQ(seq_of(take()), 1001);
  const Sent fin = take();
  EXPECT_TRUE(fin.header.flags.fin);
  EXPECT_EQ(fin.payload.size(), 1000U);
  arrive(kAck, 2000, 1001);
  EXPECT_EQ(c().state(), State::kFinWait2);
  arrive(kFinAck, 2000, 1001);
  EXPECT_EQ(c().state(), State::kTimeWait);
}

TEST_F(Resume, AcknowledgedFinMeansFinWait2) {
  s.snd_una = s.snd_end = StreamOffset{1000};
  s.snd_fin = s.fin_acked = true;
  s.state = State::kFinWait2;
  resume();
  EXPECT_EQ(c().state(), State::kFinWait2);
  EXPECT_EQ(seq_of(take()), 1001);
  EXPECT_TRUE(silent());
}

TEST_F(Resume, LastAckRepeatsItsFin) {
  s.state = State::kLastAck;
  s.rcv_fin = s.snd_fin = true;
  resume();
  EXPECT_EQ(c().state(), State::kLastAck);
  take();
  EXPECT_TRUE(take().header.flags.fin);
  arrive(kAck, 2001, 1);
  EXPECT_EQ(e.close_reason, CloseReason::kNormal);
}

TEST_F(Resume, ClosingRepeatsItsFin) {
  s.state = State::kFinWait1;
  s.rcv_fin = s.snd_fin = true;
  resume();
  EXPECT_EQ(c().state(), State::kClosing);
  take();
  EXPECT_TRUE(take().header.flags.fin);
  arrive(kAck, 2001, 1);
  EXPECT_EQ(c().state(), State::kTimeWait);
}

TEST_F(Resume, TimeWaitStartsAnew) {
  s.state = State::kTimeWait;
  s.rcv_fin = s.snd_fin = s.fin_acked = true;
  resume();
  EXPECT_EQ(c().state(), State::kTimeWait);
  EXPECT_EQ(c().deadline(), now() + 60s);
  e.out.clear();
  arrive(kFinAck, 2000, 1);
  EXPECT_EQ(ack_of(take()), 2001);
}

TEST_F(Resume, LastAckWhoseFinWasAcknowledgedIsOver) {
  s.state = State::kLastAck;
  s.rcv_fin = s.snd_fin = s.fin_acked = true;
  resume();
  EXPECT_EQ(e.close_reason, CloseReason::kNormal);
}

// Its peer was replaced too, and repeats itself from below what we have acknowledged: what it acknowledges counts.
TEST_F(Resume, LearnsFromAPeerThatDoesNotKnowItsOwnPlaceEither) {
  s.snd_una = StreamOffset{1000};
  s.snd_end = StreamOffset{5000};
  s.snd_wnd = 1000;
  resume();
  e.out.clear();
  arrive(kAck, 500, 4000);
  EXPECT_EQ(e.acked.value, 4000U);
  ASSERT_FALSE(silent());
  EXPECT_GE(seq_of(take()), 4000);
  e.out.clear();
  arrive(kAck, 500, 4500);
  EXPECT_EQ(e.acked.value, 4000U) << "once it has been answered the first step decides as ever";
}

TEST_F(Resume, LearnsNothingFromAnImpossibleAckOfAnOldSegment) {
  s.snd_una = StreamOffset{1000};
  s.snd_end = StreamOffset{5000};
  resume();
  arrive(kAck, 500, 5001);
  EXPECT_EQ(e.acked.value, 0U);
  arrive(kAck, 500, 900);
  EXPECT_EQ(e.acked.value, 0U);
  arrive(kAck, 200'000, 4000);
  EXPECT_EQ(e.acked.value, 0U) << "from beyond every window";
}

// ---- In mid-traffic ----

// At a random moment one side is replaced from what is stored, with a snapshot that may lag; frames in flight are lost
// or not.
TEST(ResumeInTraffic, BothStreamsSurviveAReplacementAtAnyMoment) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    World w(seed);
    w.faults.loss = w.chance() * 0.05;
    w.faults.reorder = w.chance() * 0.2;
    w.faults.jitter = 10ms;
    w.faults.per_byte = Duration(400);
    w.store_lag = std::chrono::microseconds(w.pick(10'000));
    w.b.store_at_once = seed % 2 == 0;
    w.a.config.timestamps = seed % 3 != 0;
    w.a.config.sack = seed % 5 != 0;
    w.a.to_write = pattern(w.pick(200'000), 1);
    w.b.to_write = pattern(w.pick(200'000), 2);
    w.a.write_fin = w.b.write_fin = true;
    w.connect();
    w.a.top_up(*w.a.connection);
    std::optional<Snapshot> old;
    for (int crash = 0; crash < 3; ++crash) {
      w.run(std::chrono::microseconds(5000 + w.pick(100'000)));
      if (!w.b.connection || w.b.close_reason) continue;
      if (!old) old = w.b.connection->snapshot();
      w.replace_b(*old, w.chance() < 0.5);
      old = w.b.connection->snapshot();
    }
    ASSERT_TRUE(w.run(20'000s));
    EXPECT_TRUE(w.a.received == w.b.to_write) << w.a.received.size() << " of " << w.b.to_write.size();
    EXPECT_TRUE(w.b.received == w.a.to_write) << w.b.received.size() << " of " << w.a.to_write.size();
    EXPECT_EQ(w.a.close_reason, CloseReason::kNormal);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(ResumeInTraffic, BothStreamsSurviveTheReplacementOfBothSidesAtOnce) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    World w(seed);
    w.faults.jitter = 10ms;
    w.faults.per_byte = Duration(400);
    w.store_lag = std::chrono::microseconds(w.pick(10'000));
    w.a.store_at_once = seed % 2 == 0;
    w.b.store_at_once = seed % 3 == 0;
    w.a.config.timestamps = seed % 3 != 0;
    w.a.window = w.b.window = 20'000;  // less than SND.UNA may lag
    w.a.to_write = pattern(w.pick(400'000), 1);
    w.b.to_write = pattern(w.pick(400'000), 2);
    w.a.write_fin = w.b.write_fin = true;
    w.connect();
    w.a.top_up(*w.a.connection);
    ASSERT_TRUE(w.run(1s, [&] { return w.b.connection && is_synchronized(w.b.connection->state()); }));
    const Snapshot old_a = w.a.connection->snapshot(), old_b = w.b.connection->snapshot();
    for (int crash = 0; crash < 3; ++crash) {
      w.run(std::chrono::microseconds(5000 + w.pick(100'000)));
      if (w.a.close_reason || w.b.close_reason) continue;
      w.replace(0, old_a, true);
      w.replace(1, old_b, true);
    }
    ASSERT_TRUE(w.run(20'000s));
    EXPECT_TRUE(w.a.received == w.b.to_write) << w.a.received.size() << " of " << w.b.to_write.size();
    EXPECT_TRUE(w.b.received == w.a.to_write) << w.b.received.size() << " of " << w.a.to_write.size();
    EXPECT_EQ(w.a.close_reason, CloseReason::kNormal);
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace holdfast::tcp::test
