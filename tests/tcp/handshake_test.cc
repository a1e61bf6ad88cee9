// SYN-SENT, SYN-RECEIVED, options: RFC 9293 sections 3.5, 3.7.1 and 3.10.7.3.
#include "solo.h"

namespace holdfast::tcp::test {
namespace {

class Handshake : public Solo {};

TEST_F(Handshake, SynAckWaitsForTheRecord) {
  accept();
  EXPECT_TRUE(silent());
  EXPECT_EQ(c().deadline(), kNever);
  arrive(syn());
  EXPECT_TRUE(silent()) << "nor does a repeated SYN hurry it";
  c().on_record_stored(now());
  const Sent s = take();
  EXPECT_TRUE(s.header.flags.syn && s.header.flags.ack);
  EXPECT_EQ(s.header.seq, our_iss);
  EXPECT_EQ(ack_of(s), 0);
  EXPECT_TRUE(silent());
}

TEST_F(Handshake, AnswersNothingBeforeTheRecordIsStored) {
  accept();
  arrive(kAck, 0, 0);
  arrive(kAck, 0, 77);
  arrive(kAck, 500, 0);
  EXPECT_EQ(c().state(), State::kSynReceived);
  EXPECT_TRUE(silent());
}

TEST_F(Handshake, ResetWithdrawsAConnectionThatIsNotStoredYet) {
  accept();
  arrive(kRst, 0, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kPeerReset);
  c().on_record_stored(now());
  EXPECT_TRUE(silent());
}

// RFC9293: MUST-14, MUST-15, MUST-67
TEST_F(Handshake, AnnouncesOurMssAndTakesThePeers) {
  e.config.mss = 1400;
  accept();
  c().on_record_stored(now());
  EXPECT_EQ(take().header.options.mss, 1400);
  EXPECT_EQ(c().snapshot().send_mss, 1400) << "never more than our own path takes";
}

// RFC9293: MUST-15
TEST_F(Handshake, MssIs536WhereThePeerSaysNothing) {
  SegmentIn s = syn();
  s.header.options.mss.reset();
  e.connection = Connection::accept(e, e.config, StreamId{1}, kTuple, s, our_iss, 0, now());
  EXPECT_EQ(c().snapshot().send_mss, 536);
}

TEST_F(Handshake, TinyMssIsRaised) {
  peer_mss = 1;
  accept();
  EXPECT_GE(c().snapshot().send_mss, 48);
}

TEST_F(Handshake, OffersInASynAckOnlyWhatTheSynOffered) {
  accept();
  c().on_record_stored(now());
  const Sent s = take();
  EXPECT_FALSE(s.header.options.window_scale || s.header.options.timestamps || s.header.options.sack_permitted);
}

TEST_F(Handshake, AgreesOnScaleTimestampsAndSack) {
  peer_timestamps = peer_sack = true;
  peer_scale = 9;
  accept();
  c().on_record_stored(now());
  const Sent s = take();
  EXPECT_EQ(s.header.options.window_scale, 8) << "8 MiB in 65,535 steps";
  EXPECT_TRUE(s.header.options.sack_permitted);
  EXPECT_EQ(s.header.options.timestamps->echo_reply, peer_ts);
  EXPECT_EQ(s.header.options.timestamps->value, e.timestamp_clock() + 100);
  EXPECT_EQ(c().snapshot().send_scale, 9);
}

// RFC9293: MUST-65
TEST_F(Handshake, MssOptionIsOnSynsOnly) {
  establish();
  e.queue(pattern(10));
  EXPECT_FALSE(take().header.options.mss);
}

TEST_F(Handshake, WindowInASynIsNotScaled) {
  peer_scale = 7;
  peer_window = 1000;
  e.window = 1 << 20;
  accept();
  c().on_record_stored(now());
  EXPECT_EQ(take().header.window, 65535);
  EXPECT_EQ(c().snapshot().snd_wnd, 1000U);
}

TEST_F(Handshake, AckOfTheSynAckMayCarryData) {
  accept();
  c().on_record_stored(now());
  take();
  const ByteVector data = pattern(100);
  arrive(kPshAck, 0, 0, data);
  EXPECT_EQ(c().state(), State::kEstablished);
  EXPECT_EQ(e.received, data);
}

TEST_F(Handshake, DuplicateSynDrawsTheSynAckAgain) {
  accept();
  c().on_record_stored(now());
  const Sent first = take();
  arrive(syn());
  const Sent second = take();
  EXPECT_EQ(first.header.seq, second.header.seq);
  EXPECT_TRUE(second.header.flags.syn && second.header.flags.ack);
}

// Its answer may be on the way when the retries run out: then its sender would take the connection for open, and meet a
// reset.
TEST_F(Handshake, DuplicateSynGivesTheSynAckItsFullTimeAgain) {
  e.config.syn_retries = 1;
  accept();
  c().on_record_stored(now());
  pass(2900ms);  // SYN-ACKs at 0 s and 1 s; it would be given up at 3 s
  arrive(syn());
  pass(200ms);
  EXPECT_FALSE(e.close_reason);
  arrive(kAck, 0, 0);
  EXPECT_EQ(c().state(), State::kEstablished);
}

TEST_F(Handshake, SynsForEverKeepNoHalfOpenConnection) {
  e.config.syn_retries = 1;
  accept();
  c().on_record_stored(now());
  for (int i = 0; i < 60 && !e.close_reason; ++i) {
    pass(100ms);
    if (!e.close_reason) arrive(syn());
  }
  EXPECT_EQ(e.close_reason, CloseReason::kTimeout);
}

// RFC9293: MUST-22, MUST-23
TEST_F(Handshake, SynIsRepeatedWithBackOffForThreeMinutesAtLeast) {
  connect();
  EXPECT_TRUE(silent());
  c().on_record_stored(now());
  std::vector<Time> at;
  while (!e.close_reason) {
    while (!silent()) {
      const Sent s = take();
      EXPECT_TRUE(s.header.flags.syn && !s.header.flags.ack);
      at.push_back(s.at);
    }
    expire();
  }
  EXPECT_EQ(e.close_reason, CloseReason::kTimeout);
  ASSERT_GE(at.size(), 4U);
  EXPECT_EQ(at[1] - at[0], 1s);
  EXPECT_EQ(at[2] - at[1], 2s);
  EXPECT_EQ(at[3] - at[2], 4s);
  EXPECT_GE(at.back() - at.front(), 3min);
}

TEST_F(Handshake, HalfOpenConnectionEndsWhenItsRetriesRunOut) {
  e.config.syn_retries = 2;
  accept();
  c().on_record_stored(now());
  pass(10s);
  EXPECT_EQ(e.out.size(), 3U);
  EXPECT_EQ(e.close_reason, CloseReason::kTimeout);
  EXPECT_EQ(c().deadline(), kNever);
}

TEST_F(Handshake, SynReceivedAnswersAnImpossibleAckWithAReset) {
  accept();
  c().on_record_stored(now());
  take();
  now() += 1s;
  arrive(kAck, 0, 1);
  const Sent s = take();
  EXPECT_TRUE(s.header.flags.rst && !s.header.flags.ack);
  EXPECT_EQ(seq_of(s), 1) << "<SEQ=SEG.ACK><CTL=RST>";
  EXPECT_EQ(c().state(), State::kSynReceived);
  EXPECT_FALSE(e.close_reason);
}

// RFC 5961 section 4.2: it may have begun anew, or somebody else speaks in its name. Its answer tells which.
TEST_F(Handshake, AnotherSynInSynReceivedIsChallenged) {
  accept();
  c().on_record_stored(now());
  take();
  for (const std::int64_t at : {std::int64_t{1000}, std::int64_t{-100'000}}) {  // in the window, and out of it
    arrive(segment(kSyn, at, 0));
    const Sent s = take();
    EXPECT_TRUE(s.bare());
    EXPECT_EQ(ack_of(s), 0);
    EXPECT_EQ(seq_of(s), 0);
    EXPECT_EQ(c().state(), State::kSynReceived);
  }
  arrive(kRst, 0, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kPeerReset);
}

TEST_F(Handshake, SynReceivedAnswersWhatIsOutOfTheWindow) {
  accept();
  c().on_record_stored(now());
  take();
  arrive(kAck, 1 << 30, 0, pattern(10));
  EXPECT_TRUE(take().bare());
  EXPECT_EQ(c().state(), State::kSynReceived);
  EXPECT_TRUE(e.received.empty());
}

TEST_F(Handshake, ChallengesInSynReceivedAreLimited) {
  accept();
  c().on_record_stored(now());
  take();
  for (int i = 0; i < 1000; ++i) arrive(segment(kSyn, 1000 + i, 0));
  EXPECT_LE(e.out.size(), 10U);
}

TEST_F(Handshake, NobodyIsChallengedBeforeTheRecordIsStored) {
  accept();
  arrive(segment(kSyn, 1000, 0));
  arrive(segment(kSyn, -100'000, 0));
  EXPECT_TRUE(silent());
}

// A peer whose view is that of a simultaneous open: our SYN-ACK reached it as a SYN (a split handshake).
TEST_F(Handshake, SynAckInAnswerToOursEstablishes) {
  accept();
  c().on_record_stored(now());
  take();
  arrive(syn(kSynAckFlags));
  EXPECT_EQ(c().state(), State::kEstablished);
  const Sent s = take();
  EXPECT_TRUE(s.bare()) << "what the peer waits for";
  EXPECT_EQ(ack_of(s), 0);
  EXPECT_EQ(seq_of(s), 0);
}

TEST_F(Handshake, SynAckEstablishesNothingThatIsNotStored) {
  accept();
  arrive(syn(kSynAckFlags));
  EXPECT_EQ(c().state(), State::kSynReceived);
  c().on_record_stored(now());
  EXPECT_TRUE(take().header.flags.syn);
}

TEST_F(Handshake, SynAckOfAnotherAnswerEstablishesNothing) {
  accept();
  c().on_record_stored(now());
  take();
  SegmentIn s = syn(kSynAckFlags);
  s.header.ack = s.header.ack + 1;
  arrive(s);
  EXPECT_EQ(c().state(), State::kSynReceived);
  EXPECT_TRUE(silent());
}

class ActiveOpen : public Solo {
 protected:
  void SetUp() override {
    connect();
    c().on_record_stored(now());
    syn_sent_ = take();
  }
  Sent syn_sent_;
};

TEST_F(ActiveOpen, SynCarriesEverythingWeOffer) {
  EXPECT_EQ(syn_sent_.header.seq, our_iss);
  EXPECT_EQ(syn_sent_.header.options.mss, 1460);
  EXPECT_TRUE(syn_sent_.header.options.window_scale && syn_sent_.header.options.timestamps);
  EXPECT_TRUE(syn_sent_.header.options.sack_permitted);
}

TEST_F(ActiveOpen, SynAckEstablishes) {
  arrive(syn(kSynAckFlags));
  EXPECT_EQ(c().state(), State::kEstablished);
  const Sent s = take();
  EXPECT_TRUE(s.bare());
  EXPECT_EQ(ack_of(s), 0);
  EXPECT_EQ(seq_of(s), 0);
}

TEST_F(ActiveOpen, NothingLeavesBeforeTheRecordHoldsThePeersSequenceNumber) {
  e.stores_records = false;
  arrive(syn(kSynAckFlags));
  EXPECT_EQ(c().state(), State::kEstablished);
  EXPECT_TRUE(silent());
  c().on_record_stored(now());
  const Sent s = take();
  EXPECT_TRUE(s.bare());
  EXPECT_EQ(ack_of(s), 0);
}

// What we acknowledge includes the peer's ISN: our record of it must be stored first.
TEST_F(ActiveOpen, NothingLeavesBeforeTheFirstNoteIsReleased) {
  e.store_at_once = false;
  arrive(syn(kSynAckFlags));
  EXPECT_EQ(c().state(), State::kEstablished);
  e.queue(pattern(100));
  EXPECT_TRUE(silent());
  ASSERT_EQ(e.held.size(), 1U);
  c().release(e.held.front(), now());
  const Sent s = take();
  EXPECT_EQ(ack_of(s), 0);
  EXPECT_EQ(s.payload.size(), 100U);
  EXPECT_TRUE(silent()) << "the data carries the ACK";
}

TEST_F(ActiveOpen, WrongAckDrawsAResetAndChangesNothing) {
  now() += 1s;
  arrive(kAck, 0, 5);
  const Sent s = take();
  EXPECT_TRUE(s.header.flags.rst);
  EXPECT_EQ(seq_of(s), 5);
  EXPECT_EQ(c().state(), State::kSynSent);
}

TEST_F(ActiveOpen, ResetCountsOnlyWithAnAckOfOurSyn) {
  arrive(kRst, -1, -1);
  arrive(kRstAck, -1, 5);
  EXPECT_FALSE(e.close_reason);
  EXPECT_TRUE(silent()) << "a RST is never answered";
  arrive(kRstAck, -1, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kRefused);
}

// RFC9293: MUST-10, MUST-11 (figure 7)
TEST_F(ActiveOpen, SimultaneousOpenMeets) {
  arrive(syn());
  EXPECT_EQ(c().state(), State::kSynReceived);
  const Sent s = take();
  EXPECT_TRUE(s.header.flags.syn && s.header.flags.ack);
  EXPECT_EQ(s.header.seq, our_iss);
  EXPECT_EQ(ack_of(s), 0);
  arrive(syn(kSynAckFlags));
  EXPECT_EQ(c().state(), State::kEstablished);
}

// RFC 9293 section 3.10.7.3, fifth: an ACK of our SYN alone is dropped. A split handshake goes on with the peer's SYN.
TEST_F(ActiveOpen, SplitHandshakeIsASimultaneousOpen) {
  arrive(kAck, 77, 0);
  EXPECT_EQ(c().state(), State::kSynSent);
  EXPECT_TRUE(silent());
  arrive(syn());
  const Sent s = take();
  EXPECT_TRUE(s.header.flags.syn && s.header.flags.ack);
  EXPECT_EQ(s.header.seq, our_iss);
  EXPECT_EQ(ack_of(s), 0);
  arrive(kAck, 0, 0);
  EXPECT_EQ(c().state(), State::kEstablished);
}

TEST_F(ActiveOpen, AckOfTheSynAloneStopsNoRepetition) {
  arrive(kAck, 77, 0);
  expire();
  EXPECT_TRUE(take().header.flags.syn);
}

TEST_F(ActiveOpen, SimultaneousOpenAlsoEndsWithABareAck) {
  arrive(syn());
  take();
  arrive(kAck, 0, 0);
  EXPECT_EQ(c().state(), State::kEstablished);
}

TEST_F(ActiveOpen, ResetInASimultaneousOpenIsARefusal) {
  arrive(syn());
  arrive(kRst, 0, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kRefused);
}

TEST_F(ActiveOpen, RepeatedSynAckIsAcknowledgedAgain) {
  arrive(syn(kSynAckFlags));
  take();
  now() += 1s;
  arrive(syn(kSynAckFlags));
  EXPECT_EQ(ack_of(take()), 0);
  EXPECT_EQ(c().state(), State::kEstablished);
}

TEST_F(ActiveOpen, RoundTripOfTheSynIsASample) {
  now() += 30ms;
  arrive(syn(kSynAckFlags));
  EXPECT_EQ(c().smoothed_rtt(), 30ms);
}

// RFC 5681 section 3.1, RFC 6298 (5.7)
TEST_F(ActiveOpen, LostSynMeansOneSegmentToBeginWith) {
  expire();
  take();
  arrive(syn(kSynAckFlags));
  take();
  e.queue(pattern(10'000));
  EXPECT_EQ(take().payload.size(), 1460U);
  EXPECT_TRUE(silent());
  EXPECT_EQ(c().deadline() - now(), 3s);
}

TEST_F(ActiveOpen, AbortOfASynIsSilent) {
  c().abort(now());
  EXPECT_TRUE(silent());
  EXPECT_EQ(e.close_reason, CloseReason::kAborted);
}

}  // namespace
}  // namespace holdfast::tcp::test
