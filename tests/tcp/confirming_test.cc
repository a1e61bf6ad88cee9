// The N-way handshake through two connections (docs/handshake.md).
#include "ways_world.h"

namespace holdfast::tcp::test {
namespace {

using wire::kMaxWays;

class EveryN : public testing::TestWithParam<int> {
 protected:
  WaysPair p;
  std::uint8_t n() const { return static_cast<std::uint8_t>(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Ways, EveryN, testing::Range(3, 75));

TEST_P(EveryN, TakesExactlyNSegments) {
  p.ways(n());
  p.open();
  p.carry();
  ASSERT_TRUE(p.both_established());
  ASSERT_EQ(p.wire.size(), n());
  std::uint32_t last_nonce = 0;
  for (std::size_t k = 1; k <= n(); ++k) {
    const Sent& s = p.wire[k - 1];
    EXPECT_TRUE(s.payload.empty());
    EXPECT_EQ(s.header.flags.syn, k <= 2);
    EXPECT_EQ(s.header.flags.ack, k >= 2);
    const auto& option = s.header.options.ways;
    ASSERT_EQ(option.has_value(), n() > 3) << "three ways are the ordinary handshake";
    if (!option) continue;
    EXPECT_EQ(option->ways, n());
    EXPECT_EQ(option->step, k);
    EXPECT_EQ(option->echo, last_nonce);
    EXPECT_GE(option->copies, copies_asked(option->step));
    EXPECT_FALSE(option->is_short || option->is_volatile || option->is_refused);
    last_nonce = option->nonce;
  }
  p.i.write(pattern(3000));
  p.r.write(pattern(5000, 2));
  p.carry();
  EXPECT_EQ(p.r.received, pattern(3000));
  EXPECT_EQ(p.i.received, pattern(5000, 2));
  p.pass(std::chrono::seconds(1));
  p.carry();
  EXPECT_EQ(p.i.connection->acknowledged().value, 3000U);
  EXPECT_EQ(p.r.connection->acknowledged().value, 5000U);
}

TEST_P(EveryN, GoesOnThoughEachStepIsLostOnce) {
  p.ways(n());
  p.open();
  std::vector<bool> seen(kMaxWays + 1U);
  std::size_t lost = 0;
  for (int turns = 0; turns < 2000 && !p.settled(); ++turns) {
    for (const bool from_i : {true, false}) {
      while (const auto sent = p.take(from_i ? p.i : p.r)) {
        const auto& option = sent->header.options.ways;
        if (option && !seen[option->step]) {
          seen[option->step] = true;
          ++lost;
          continue;
        }
        p.give(from_i ? p.r : p.i, *sent);
      }
    }
    p.pass(std::chrono::milliseconds(500));
  }
  EXPECT_TRUE(p.both_established());
  EXPECT_EQ(lost, n() > 3 ? n() : 0);
}

class EveryMore : public EveryN {};
INSTANTIATE_TEST_SUITE_P(Ways, EveryMore, testing::Range(4, 75));

// Each step gets through to the wire; then one side dies, with what it had stored, and what is in the wire arrives, or
// is lost with it.
TEST_P(EveryMore, GoesOnThoughOneSideDiesAfterAnyStep) {
  for (int variant = 0; variant < 4; ++variant) {
    const bool initiator_dies = variant % 2 == 0;
    const bool step_arrives = variant / 2 == 0;
    for (int step = 1; step <= n(); ++step) {
      WaysPair q;
      q.ways(n());
      q.open();
      Endpoint& dying = initiator_dies ? q.i : q.r;
      for (int k = 1; k <= step; ++k) {
        const auto sent = q.take(k % 2 == 1 ? q.i : q.r);
        ASSERT_TRUE(sent && sent->header.options.ways->step == k);
        if (k < step || step_arrives) q.give(k % 2 == 1 ? q.r : q.i, *sent);
      }
      if (!dying.connection) continue;  // the responder has heard of nothing yet
      q.restart(dying);
      q.settle(std::chrono::minutes(10));
      ASSERT_TRUE(q.both_established()) << "variant " << variant << ", step " << step;
      q.i.write(pattern(10));
      q.settle(std::chrono::seconds(1));
      q.carry();
      EXPECT_EQ(q.r.received, pattern(10));
      EXPECT_LE(q.wire.size(), n() + 12U) << "variant " << variant << ", step " << step;
    }
  }
}

// A volatile side that dies forgets. The other one comes to an end, and does not stay half-open.
TEST_P(EveryMore, ComesToAnEndThoughOneSideForgetsAfterAnyStep) {
  for (const bool initiator_dies : {true, false}) {
    for (int step = 2; step <= n(); ++step) {
      WaysPair q;
      q.ways(n());
      q.open();
      for (int k = 1; k <= step; ++k) {
        const auto sent = q.take(k % 2 == 1 ? q.i : q.r);
        q.give(k % 2 == 1 ? q.r : q.i, *sent);
      }
      Endpoint& left = initiator_dies ? q.r : q.i;
      (initiator_dies ? q.i : q.r).connection.reset();
      // Whoever received step N knows that the peer was there; it is like any idle connection whose peer is gone.
      const bool received_last = (step == n()) && (n() % 2 == 1) == initiator_dies;
      for (int t = 0; t < 4000 && !left.close_reason; ++t) {
        q.pass(std::chrono::seconds(1));
        left.out.clear();
      }
      EXPECT_EQ(left.close_reason.has_value(), !received_last) << step;
    }
  }
}

class Confirming : public testing::Test {
 protected:
  WaysPair p;
  // Runs the handshake up to and including step `last`, which stays in the wire: it is returned.
  Sent run_to(int last) {
    p.open();
    for (int k = 1;; ++k) {
      const auto sent = p.take(k % 2 == 1 ? p.i : p.r);
      HF_ASSERT(sent.has_value() && sent->header.options.ways->step == k);
      if (k == last) return *sent;
      p.give(k % 2 == 1 ? p.r : p.i, *sent);
    }
  }
};

TEST_F(Confirming, TheResponderSettlesOnItsMaximum) {
  p.ways(20, 7);
  p.open();
  p.carry();
  EXPECT_TRUE(p.both_established());
  EXPECT_EQ(p.wire.size(), 7U);
  EXPECT_EQ(p.i.connection->handshake()->ways, 7);
  EXPECT_EQ(p.i.connection->handshake()->peer_limit, 7);
}

TEST_F(Confirming, AMaximumOfThreeIsCarriedInStepsTwoAndThree) {
  p.ways(20, 3);
  p.open();
  p.carry();
  ASSERT_TRUE(p.both_established());
  ASSERT_EQ(p.wire.size(), 3U);
  for (std::size_t k = 1; k < 3; ++k) {
    EXPECT_EQ(p.wire[k].header.options.ways->ways, 3);
    EXPECT_EQ(p.wire[k].header.options.ways->step, k + 1);
  }
  p.i.write(pattern(10));
  p.carry();
  EXPECT_FALSE(p.wire[3].header.options.ways) << "then it is the ordinary handshake";
}

TEST_F(Confirming, FewerThanTheCallerRequiresIsAnError) {
  p.ways(20, 7);
  p.i.config.ways.min = 8;
  p.open();
  p.carry();
  EXPECT_EQ(p.i.close_reason, CloseReason::kHandshakeRefused);
  EXPECT_EQ(p.i.connection->handshake()->failure, WaysFailure::kPeerOffersLess);
  EXPECT_EQ(p.i.connection->handshake()->peer_limit, 7);
  EXPECT_TRUE(p.r.close_reason) << "it was reset";
}

TEST_F(Confirming, ASynAckWithoutTheOptionIsTheOrdinaryHandshake) {
  p.ways(20);
  const Sent syn = run_to(1);
  Sent stripped = syn;
  stripped.header.options.ways.reset();
  p.give(p.r, stripped);
  p.carry();
  EXPECT_TRUE(p.both_established());
  EXPECT_EQ(p.wire.size(), 3U);
  EXPECT_TRUE(p.i.connection->handshake()->fell_back);
  EXPECT_FALSE(p.r.connection->handshake());
}

TEST_F(Confirming, AnOptionTakenOffTheSynAckIsTheOrdinaryHandshakeOnBothSides) {
  p.ways(20);
  Sent syn_ack = run_to(2);
  syn_ack.header.options.ways.reset();
  p.give(p.i, syn_ack);
  p.carry();
  EXPECT_TRUE(p.both_established());
  EXPECT_EQ(p.r.connection->handshake()->ways, 3);
  EXPECT_TRUE(p.r.connection->handshake()->fell_back);
}

TEST_F(Confirming, AServiceThatWantsMoreDoesNotFallBack) {
  p.ways(20);
  p.r.config.ways.min = 5;
  Sent syn_ack = run_to(2);
  syn_ack.header.options.ways.reset();
  p.give(p.i, syn_ack);
  p.settle(std::chrono::minutes(20));
  EXPECT_EQ(p.r.close_reason, CloseReason::kHandshakeStopped);
  EXPECT_TRUE(p.i.close_reason) << "and the other side is told";
}

TEST_F(Confirming, AnOptionTakenOffLaterEndsInAnErrorOnBothSides) {
  for (int from = 4; from <= 8; ++from) {
    WaysPair q;
    q.ways(8);
    q.open();
    for (int i = 0; i < 3000 && !(q.i.close_reason && q.r.close_reason); ++i) {
      for (const bool from_i : {true, false}) {
        while (auto sent = q.take(from_i ? q.i : q.r)) {
          if (sent->header.options.ways && sent->header.options.ways->step >= from) sent->header.options.ways.reset();
          q.give(from_i ? q.r : q.i, *sent);
        }
      }
      q.pass(std::chrono::milliseconds(500));
    }
    EXPECT_TRUE(q.i.close_reason) << from;
    EXPECT_TRUE(q.r.close_reason) << from;
    EXPECT_TRUE(q.i.close_reason == CloseReason::kHandshakeStopped ||
                q.r.close_reason == CloseReason::kHandshakeStopped);
  }
}

TEST_F(Confirming, NothingForgedMovesIt) {
  p.ways(8);
  const Sent step4 = run_to(4);
  for (int what = 0; what < 6; ++what) {
    Sent forged = step4;
    wire::WaysOption& option = *forged.header.options.ways;
    if (what == 0) option.echo ^= 1;
    if (what == 1) option.step = 6;
    if (what == 2) option.ways = 9;
    if (what == 3) option.step = 5;
    if (what == 4) option.step = 8;
    if (what == 5) forged.header.options.ways.reset();
    p.give(p.i, forged);
    EXPECT_TRUE(p.i.out.empty()) << what;
    EXPECT_EQ(p.i.connection->state(), State::kSynReceived);
    EXPECT_EQ(p.i.connection->handshake()->dropped, what + 1U);
  }
  p.give(p.i, step4);
  p.carry();
  EXPECT_TRUE(p.both_established());
}

TEST_F(Confirming, AStepWaitsForItsCopies) {
  p.ways(8);
  p.r.copies_held = 1;
  p.open();
  p.carry();
  EXPECT_EQ(p.wire.size(), 5U) << "step 6 asks for two";
  EXPECT_EQ(p.r.roll_calls, 2U);
  p.r.copies_held = 2;
  p.r.connection->on_copies(p.now);
  p.carry();
  EXPECT_EQ(p.wire.size(), 7U) << "step 8 asks for three";
  EXPECT_FALSE(p.both_established());
  p.r.copies_held = 3;
  p.r.connection->on_copies(p.now);
  p.carry();
  EXPECT_TRUE(p.both_established());
  EXPECT_EQ(p.wire.size(), 8U);
  EXPECT_EQ(p.i.connection->handshake()->peer_copies, 3);
}

TEST_F(Confirming, StrictResetsAPeerThatIsShort) {
  p.ways(8);
  p.r.copies_held = 2;
  p.open();
  p.settle(std::chrono::minutes(1));
  EXPECT_EQ(p.i.close_reason, CloseReason::kTooFewCopies);
  const WaysReport report = *p.i.connection->handshake();
  EXPECT_EQ(report.received, 8);
  EXPECT_EQ(report.peer_copies, 2);
  EXPECT_EQ(report.peer_asked, 3);
  EXPECT_EQ(p.r.close_reason, CloseReason::kPeerReset);
}

// Fewer places than step 8 asks for: it says SHORT at once, but not before each of them has the record.
TEST_F(Confirming, AShortStepCertifiesAllThatThereIs) {
  p.ways(8);
  p.i.config.ways.strict = false;
  p.r.copies_held = 1;
  p.r.places = 2;
  p.open();
  p.carry();
  EXPECT_EQ(p.wire.size(), 5U) << "step 6 waits for the second";
  p.r.copies_held = 2;
  p.r.connection->on_copies(p.now);
  p.r.copies_held = 1;  // "established" is stored in one place so far
  p.carry();
  EXPECT_EQ(p.wire.size(), 7U);
  p.r.copies_held = 2;
  p.r.connection->on_copies(p.now);
  p.carry();
  ASSERT_EQ(p.wire.size(), 8U);
  EXPECT_TRUE(p.wire[7].header.options.ways->is_short);
  EXPECT_EQ(p.wire[7].header.options.ways->copies, 2);
  EXPECT_TRUE(p.both_established());
}

TEST_F(Confirming, BestEffortGoesOnWithAPeerThatIsShort) {
  p.ways(8);
  p.i.config.ways.strict = false;
  p.r.copies_held = 2;
  p.open();
  p.settle(std::chrono::minutes(1));
  EXPECT_TRUE(p.both_established());
  EXPECT_EQ(p.wire.size(), 8U);
  EXPECT_TRUE(p.wire[7].header.options.ways->is_short);
}

TEST_F(Confirming, AVolatileSideCertifiesNothingAndIsAskedForNothing) {
  p.ways(8);
  p.r.is_durable = false;
  p.r.copies_held = 0;
  p.open();
  p.carry();
  EXPECT_TRUE(p.both_established());
  EXPECT_TRUE(p.wire[7].header.options.ways->is_volatile);
  EXPECT_TRUE(p.i.connection->handshake()->peer_volatile);
}

TEST_F(Confirming, EstablishedIsStoredBeforeStepNLeaves) {
  p.ways(7);
  const Sent step6 = run_to(6);
  p.i.stores_records = false;
  p.give(p.i, step6);
  EXPECT_TRUE(p.i.out.empty());
  EXPECT_EQ(p.i.connection->state(), State::kSynReceived) << "it is established when it sends step N";
  EXPECT_EQ(p.i.connection->snapshot().state, State::kEstablished) << "but stored as such before";
  p.i.connection->on_record_stored(p.now);
  EXPECT_EQ(p.i.connection->state(), State::kEstablished);
  EXPECT_EQ(p.i.next().header.options.ways->step, 7);
}

TEST_F(Confirming, TheReceiverOfStepNSaysNothingBeforeEstablishedIsStored) {
  p.ways(6);
  const Sent step6 = run_to(6);
  p.i.stores_records = false;
  p.give(p.i, step6);
  EXPECT_EQ(p.i.connection->state(), State::kSynReceived);
  EXPECT_EQ(p.i.connection->snapshot().state, State::kEstablished);
  p.give(p.i, step6);
  EXPECT_TRUE(p.i.out.empty());
  p.i.connection->on_record_stored(p.now);
  EXPECT_EQ(p.i.connection->state(), State::kEstablished);
}

TEST_F(Confirming, EverySegmentCarriesStepNUntilThePeerProvesIt) {
  p.ways(5);
  p.open();
  p.carry();
  p.i.write(pattern(4000));
  while (const auto sent = p.take(p.i)) {
    EXPECT_EQ(sent->header.options.ways->step, 5);
    const std::size_t largest = sent->gso_size > 0 ? sent->gso_size : sent->payload.size();
    EXPECT_LE(largest + 20 + 12 + 16, 1480U) << "within the MTU";
    p.give(p.r, *sent);
  }
  EXPECT_EQ(p.r.received, pattern(4000));
  p.carry();  // its ACK
  p.i.write(pattern(10));
  EXPECT_FALSE(p.take(p.i)->header.options.ways);
}

TEST_F(Confirming, AnIdleSenderOfStepNProbes) {
  p.ways(5);
  const Sent step5 = run_to(5);
  EXPECT_EQ(p.i.connection->state(), State::kEstablished);
  EXPECT_EQ(p.r.connection->state(), State::kSynReceived);  // step 5 is lost
  // The responder repeats step 4, and is answered; that is lost as well.
  p.pass(p.i.connection->deadline() - p.now);
  p.r.out.clear();
  const auto probe = p.take(p.i);
  ASSERT_TRUE(probe);
  EXPECT_EQ(probe->header.options.ways->step, 5);
  EXPECT_EQ(probe->header.seq, p.i_iss) << "below the window, like a keepalive";
  p.give(p.r, *probe);
  EXPECT_EQ(p.r.connection->state(), State::kEstablished);
  const auto answer = p.take(p.r);
  ASSERT_TRUE(answer) << "a probe is answered";
  EXPECT_FALSE(answer->header.options.ways);
  p.give(p.i, *answer);
  p.pass(std::chrono::minutes(30));
  EXPECT_TRUE(p.i.out.empty()) << "it has seen the proof";
  (void)step5;
}

TEST_F(Confirming, AHalfOpenConnectionDoesNotLast) {
  p.ways(5);
  run_to(5);
  p.r.connection.reset();  // gone for good
  for (int i = 0; i < 10000 && !p.i.close_reason; ++i) {
    p.pass(std::chrono::seconds(1));
    p.i.out.clear();
  }
  EXPECT_EQ(p.i.close_reason, CloseReason::kHandshakeStopped);
}

// Something takes step N off each segment, and its sender has more to say all the time. Its limit is the same as when
// it is idle, and the other side, which holds what it got but stands before it, is told.
TEST_F(Confirming, DataInFlightDoesNotPutOffTheLimit) {
  for (const int n : {5, 6}) {
    for (const bool user_limit : {false, true}) {
      WaysPair q;
      q.ways(static_cast<std::uint8_t>(n));
      Endpoint& sender = n % 2 == 1 ? q.i : q.r;
      Endpoint& receiver = n % 2 == 1 ? q.r : q.i;
      if (user_limit) sender.config.user_timeout = std::chrono::seconds(20);
      receiver.config.syn_retries = 100;
      q.open();
      const Time begin = q.now;
      bool written = false;
      for (int i = 0; i < 4000 && !(q.i.close_reason && q.r.close_reason); ++i) {
        for (const bool from_i : {true, false}) {
          while (auto sent = q.take(from_i ? q.i : q.r)) {
            if (sent->header.options.ways && sent->header.options.ways->step == n) sent->header.options.ways.reset();
            q.give(from_i ? q.r : q.i, *sent);
          }
        }
        if (sender.connection && !std::exchange(written, true)) sender.write(pattern(1000));
        q.pass(std::chrono::milliseconds(500));
      }
      EXPECT_EQ(sender.close_reason, CloseReason::kHandshakeStopped);
      EXPECT_EQ(sender.connection->handshake()->sent, n);
      EXPECT_EQ(receiver.close_reason, CloseReason::kPeerReset);
      EXPECT_LT(q.now - begin, user_limit ? std::chrono::seconds(64) : std::chrono::seconds(460));
    }
  }
}

TEST_F(Confirming, WhoAsksAgainAndAgainDoesNotPutOffTheLimit) {
  p.ways(5);
  const Sent step5 = run_to(5);
  const Time begin = p.now;
  p.i.write(pattern(100));
  Sent data = p.i.next();
  data.header.options.ways.reset();
  for (int i = 0; i < 4000 && !p.r.close_reason; ++i) {
    p.give(p.r, data);  // early data, for which step 4 is repeated at once
    p.pass(std::chrono::milliseconds(500));
  }
  EXPECT_EQ(p.r.close_reason, CloseReason::kHandshakeStopped);
  EXPECT_LT(p.now - begin, std::chrono::seconds(460));
  (void)step5;
}

TEST_F(Confirming, PastTheLimitTheErrorNamesTheStep) {
  p.ways(9);
  run_to(5);
  p.r.connection.reset();
  std::vector<Sent> last;
  for (int i = 0; i < 10000 && !p.i.close_reason; ++i) {
    p.pass(std::chrono::seconds(1));
    while (!p.i.out.empty()) last.push_back(p.i.next());
  }
  EXPECT_EQ(p.i.close_reason, CloseReason::kHandshakeStopped);
  EXPECT_EQ(p.i.connection->handshake()->sent, 5);
  EXPECT_EQ(last.size(), 9U) << "eight repetitions and a reset";
  EXPECT_TRUE(last.back().header.flags.rst);
}

TEST_F(Confirming, EarlyDataIsHeldAndNotAcknowledged) {
  p.ways(5);
  const Sent step5 = run_to(5);
  p.i.write(pattern(100));
  Sent data = p.i.next();
  data.header.options.ways.reset();  // as if from a sender that knows that step 5 arrived
  p.pass(std::chrono::milliseconds(1));
  p.give(p.r, data);
  EXPECT_TRUE(p.r.received.empty());
  const auto repeated = p.take(p.r);
  ASSERT_TRUE(repeated);
  EXPECT_EQ(repeated->header.options.ways->step, 4) << "step N-1 at once";
  EXPECT_EQ(repeated->header.ack, p.i_iss + 1);
  p.give(p.r, step5);
  EXPECT_EQ(p.r.received, pattern(100));
  EXPECT_EQ(p.take(p.r)->header.ack, p.i_iss + 101);
}

TEST_F(Confirming, DataWithStepNEstablishesAndIsTaken) {
  p.ways(5);
  run_to(5);
  p.i.write(pattern(100));
  p.i.finish_writing();
  p.carry();
  EXPECT_TRUE(p.r.received_fin);
  EXPECT_EQ(p.r.received, pattern(100));
  EXPECT_EQ(p.r.connection->state(), State::kCloseWait);
}

TEST_F(Confirming, ADuplicateOfTheLatestStepIsAnsweredAndOneOnItsWayIsNot) {
  p.ways(8);
  p.open();
  const auto one = p.take(p.i);
  p.give(p.r, *one);
  p.pass(std::chrono::milliseconds(50));
  const auto two = p.take(p.r);
  p.give(p.i, *two);
  p.pass(std::chrono::milliseconds(50));
  const auto three = p.take(p.i);
  p.give(p.r, *three);
  ASSERT_TRUE(p.take(p.r));  // step 4, lost
  p.give(p.r, *three);
  EXPECT_FALSE(p.take(p.r)) << "the answer has only just left";
  p.pass(std::chrono::milliseconds(500));
  p.give(p.r, *three);
  EXPECT_EQ(p.take(p.r)->header.options.ways->step, 4);
}

TEST_F(Confirming, ABurstOfDuplicatesDrawsOneAnswerBeforeARoundTripWasMeasured) {
  p.ways(8);
  p.open();
  const auto one = p.take(p.i);
  p.give(p.r, *one);
  const auto two = p.take(p.r);
  p.give(p.r, *one);  // step 2 has left twice: what answers it is no sample
  ASSERT_TRUE(p.take(p.r));
  p.pass(std::chrono::milliseconds(50));
  p.give(p.i, *two);
  const auto three = p.take(p.i);
  p.give(p.r, *three);
  ASSERT_TRUE(p.take(p.r));
  ASSERT_EQ(p.r.connection->smoothed_rtt(), Duration::zero());
  for (int i = 0; i < 4; ++i) {
    p.pass(std::chrono::milliseconds(2));
    p.give(p.r, *three);
    EXPECT_FALSE(p.take(p.r)) << i;
  }
  p.pass(std::chrono::milliseconds(2));
  p.give(p.r, *three);
  EXPECT_EQ(p.take(p.r)->header.options.ways->step, 4);
}

TEST_F(Confirming, ABurstOfStepTwoDrawsOneAnswer) {
  p.ways(8);
  p.open();
  p.give(p.r, *p.take(p.i));
  const auto two = p.take(p.r);
  p.give(p.i, *two);
  ASSERT_TRUE(p.take(p.i));
  for (int i = 0; i < 40; ++i) p.give(p.i, *two);
  EXPECT_FALSE(p.take(p.i)) << "it is on its way";
  p.pass(std::chrono::milliseconds(20));
  for (int i = 0; i < 40; ++i) p.give(p.i, *two);
  EXPECT_EQ(p.take(p.i)->header.options.ways->step, 3);
  EXPECT_FALSE(p.take(p.i));
}

TEST_F(Confirming, AResetEndsIt) {
  p.ways(8);
  run_to(5);
  p.r.connection->abort(p.now);
  p.carry();
  EXPECT_EQ(p.i.close_reason, CloseReason::kPeerReset);
  EXPECT_EQ(p.i.connection->handshake()->failure, WaysFailure::kReset);
  EXPECT_EQ(p.i.connection->handshake()->sent, 5);
}

TEST_F(Confirming, AResetOfAnEstablishedOneIsNoFailedHandshake) {
  p.ways(8);
  p.open();
  p.carry();
  p.r.connection->abort(p.now);
  p.carry();
  EXPECT_EQ(p.i.close_reason, CloseReason::kPeerReset);
  EXPECT_EQ(p.i.connection->handshake()->failure, WaysFailure::kNone);
}

// The responder is strict, and the last step certifies too little for it: its reset is the answer to that step.
TEST_F(Confirming, AResetInAnswerToStepNIsAFailedHandshake) {
  p.ways(9);
  p.i.copies_held = p.i.places = 2;
  p.open();
  p.carry();
  EXPECT_EQ(p.r.close_reason, CloseReason::kTooFewCopies);
  EXPECT_EQ(p.i.close_reason, CloseReason::kPeerReset);
  const WaysReport report = *p.i.connection->handshake();
  EXPECT_EQ(report.failure, WaysFailure::kReset);
  EXPECT_EQ(report.copies, 2);
  EXPECT_EQ(report.copies_asked, 3);
}

TEST_F(Confirming, ACloseWaitsForEstablishment) {
  p.ways(8);
  run_to(3);
  p.i.write(pattern(50));
  p.i.finish_writing();
  EXPECT_TRUE(p.i.out.empty());
  p.give(p.r, p.wire.back());
  p.carry();
  EXPECT_EQ(p.r.received, pattern(50));
  EXPECT_TRUE(p.r.received_fin);
}

TEST_F(Confirming, EachAnswerIsARoundTripSample) {
  p.ways(20);
  p.open();
  for (int k = 1; k <= 20; ++k) {
    const auto sent = p.take(k % 2 == 1 ? p.i : p.r);
    ASSERT_TRUE(sent);
    p.pass(std::chrono::milliseconds(k % 2 == 1 ? 3 : 4));
    p.give(k % 2 == 1 ? p.r : p.i, *sent);
  }
  EXPECT_TRUE(p.both_established());
  EXPECT_EQ(p.i.connection->smoothed_rtt(), std::chrono::milliseconds(7));
  EXPECT_EQ(p.r.connection->smoothed_rtt(), std::chrono::milliseconds(7));
}

}  // namespace
}  // namespace holdfast::tcp::test
