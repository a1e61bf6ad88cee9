// The machine of one side by itself, where a replacement comes in: what the model checker found, step by step.
#include "tcp/ways.h"

#include <gtest/gtest.h>

namespace holdfast::tcp {
namespace {

using Do = Ways::Do;

constexpr std::uint8_t kWays = 12;
constexpr wire::SeqNum kInitiatorIsn{1000}, kResponderIsn{2000};

NonceSource source(bool initiator, wire::SeqNum responder_isn) {
  NonceSource s;
  s.secret.key[0] = std::byte{initiator};
  s.initiator_isn = kInitiatorIsn;
  s.responder_isn = responder_isn;
  return s;
}

WaysConfig config(bool strict = false, std::uint8_t min = wire::kMinWays) {
  WaysConfig c;
  c.min = min;
  c.max = kWays;
  c.strict = strict;
  return c;
}

wire::WaysOption send(Ways& side, std::uint8_t copies) {
  const wire::WaysOption option = side.option(copies);
  side.left(copies);
  return option;
}

// A handshake that stands still after step 8: what was sent, the responder as it is, the initiator's record of step 2.
struct Halfway {
  Ways responder;
  WaysRecord initiator_record;
  wire::WaysOption step_6, step_8;
};

Halfway halfway() {
  Ways initiator = Ways::propose(config(true), source(true, wire::SeqNum{0}), true);
  EXPECT_EQ(initiator.speak(), Do::kSend);
  Ways responder = Ways::answer(config(), source(false, kResponderIsn), true, send(initiator, 1));
  EXPECT_EQ(responder.stored(), Do::kSend);
  EXPECT_EQ(initiator.syn_arrives(send(responder, 1), true, kResponderIsn), Do::kStore);
  const WaysRecord record = initiator.record();
  EXPECT_EQ(initiator.stored(), Do::kSend);
  Halfway at{responder, record, {}, {}};
  wire::WaysOption latest = send(initiator, 1);
  for (std::uint8_t step = 4; step <= 8; ++step) {
    Ways& side = step % 2 == 1 ? initiator : at.responder;
    EXPECT_EQ(side.arrives(latest), Do::kAwaitCopies);
    EXPECT_EQ(side.copies(copies_asked(step)), Do::kSend);
    latest = send(side, copies_asked(step));
    if (step == 6) at.step_6 = latest;
    if (step == 8) at.step_8 = latest;
  }
  return at;
}

Ways replacement(const Halfway& at) {
  Ways ways = Ways::resume({}, source(true, kResponderIsn), true, true, at.initiator_record);
  EXPECT_EQ(ways.speak(), Do::kSend);
  EXPECT_EQ(send(ways, 1).step, 3);
  return ways;
}

// Its predecessor's step 7 was received; the same step with SHORT has another nonce, and must not meet silence.
TEST(Ways, AReplacementThatCertifiesFewerThanItsPredecessorIsAnswered) {
  Halfway at = halfway();
  Ways initiator = replacement(at);
  EXPECT_EQ(initiator.arrives(at.step_6), Do::kAwaitCopies);
  EXPECT_EQ(initiator.roll_call_over(1), Do::kSend);
  const wire::WaysOption again = send(initiator, 1);
  EXPECT_EQ(again.step, 7);
  EXPECT_TRUE(again.is_short);
  EXPECT_EQ(at.responder.arrives(again), Do::kSendSeldom);
  EXPECT_EQ(at.responder.received(), 7);
  // The answer echoes the predecessor's nonce, which is the replacement's as well.
  EXPECT_EQ(initiator.arrives(send(at.responder, 3)), Do::kAwaitCopies);
  EXPECT_EQ(initiator.due(), 9);
}

TEST(Ways, TheSameStepWithAWrongEchoIsDropped) {
  Halfway at = halfway();
  Ways initiator = replacement(at);
  EXPECT_EQ(initiator.arrives(at.step_6), Do::kAwaitCopies);
  EXPECT_EQ(initiator.roll_call_over(1), Do::kSend);
  wire::WaysOption forged = send(initiator, 1);
  ++forged.echo;
  const std::uint32_t dropped = at.responder.report().dropped;
  EXPECT_EQ(at.responder.arrives(forged), Do::kNothing);
  EXPECT_EQ(at.responder.report().dropped, dropped + 1);
}

// After a restart nobody is there who could ask for it again.
TEST(Ways, AReplacementIsAsStrictAsItsPredecessor) {
  Halfway at = halfway();
  Ways initiator = replacement(at);
  EXPECT_TRUE(initiator.config().strict);
  wire::WaysOption few = at.step_8;
  few.copies = 2;
  EXPECT_EQ(initiator.arrives(few), Do::kReset);
  EXPECT_EQ(initiator.report().failure, WaysFailure::kTooFewCopies);
}

TEST(Ways, AReplacementWantsAsManyWaysAsItsPredecessor) {
  const Ways first = Ways::propose(config(true, 8), source(true, wire::SeqNum{0}), true);
  Ways second = Ways::resume({}, source(true, wire::SeqNum{0}), true, true, first.record());
  EXPECT_EQ(second.speak(), Do::kSend);
  send(second, 1);
  EXPECT_EQ(second.syn_arrives(std::nullopt, true, kResponderIsn), Do::kReset);
  EXPECT_EQ(second.report().failure, WaysFailure::kPeerOffersLess);
}

TEST(Ways, ASynThatCrossesDoesNotEndWhatWantsMoreThanThreeWays) {
  Ways initiator = Ways::propose(config(true, 8), source(true, wire::SeqNum{0}), true);
  EXPECT_EQ(initiator.speak(), Do::kSend);
  const wire::WaysOption first = send(initiator, 1);
  EXPECT_EQ(initiator.syn_arrives(std::nullopt, false, wire::SeqNum{5}), Do::kNothing);
  Ways responder = Ways::answer(config(), source(false, kResponderIsn), true, first);
  EXPECT_EQ(responder.stored(), Do::kSend);
  EXPECT_EQ(initiator.syn_arrives(send(responder, 1), true, kResponderIsn), Do::kStore);
}

// REFUSED is a reset's.
TEST(Ways, ASynAckThatRefusesIsDropped) {
  Ways initiator = Ways::propose(config(), source(true, wire::SeqNum{0}), true);
  EXPECT_EQ(initiator.speak(), Do::kSend);
  Ways responder = Ways::answer(config(), source(false, kResponderIsn), true, send(initiator, 1));
  EXPECT_EQ(responder.stored(), Do::kSend);
  wire::WaysOption second = send(responder, 1);
  second.is_refused = true;
  EXPECT_EQ(initiator.syn_arrives(second, true, kResponderIsn), Do::kNothing);
  second.is_refused = false;
  EXPECT_EQ(initiator.syn_arrives(second, true, kResponderIsn), Do::kStore);
}

}  // namespace
}  // namespace holdfast::tcp
