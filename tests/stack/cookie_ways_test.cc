// N-way handshakes in a SYN flood: step 2 is a SYN cookie (docs/handshake.md, "SYN flood").
#include "flood.h"

namespace holdfast::stack::testing {
namespace {

class WaysFlood : public Flood {
 protected:
  WaysFlood() {
    for (Service& service : config.services) service.ways.max = wire::kMaxWays;
  }
  // So many directories that no roll call is short.
  void begin() {
    Flood::begin();
    log->locations_that_hold = 40;
  }
  void begin_again() {
    restart();
    store();
    meet();
    log->locations_that_hold = 40;
  }
  static Client proposes(std::uint8_t ways, std::uint16_t port = 40000) {
    Client c{wire::Port{port}};
    c.step = {.ways = ways, .step = 1, .copies = 1, .nonce = 0xc0ffee};
    return c;
  }
  // A client that holds a cookie, in a flood.
  Client with_cookie(std::uint8_t ways) {
    begin();
    fill();
    Client c = proposes(ways);
    by_cookie(c);
    return c;
  }
  // From step 3, which is next, to the end; each of the node's answers waits for what it certifies.
  void go_on(Client& c) {
    while (c.step.step < c.step.ways) {
      ack(c);
      engine->pump(now);
      if (c.step.step == 3) {
        EXPECT_TRUE(silent()) << "the record is not stored yet";
      }
      store();
      answer(c, expect_one());
      EXPECT_EQ(engine->list().back().state == tcp::State::kEstablished, c.step.step > c.step.ways);
    }
    if (c.step.step == c.step.ways) ack(c);
    store();
    c.step = {};
  }
  void expect_echoed(Client& c) {
    ack(c);
    store();
    link.sent.clear();
    data(c, bytes);
    store();
    EXPECT_EQ(expect_one().header.ack, c.iss + 1 + 1000);
    EXPECT_EQ(stored(), bytes);
  }
};

TEST_F(WaysFlood, EveryNGoesThroughByACookie) {
  for (std::uint8_t n = 4; n <= wire::kMaxWays; ++n) {
    begin();
    fill();
    Client c = proposes(n);
    const std::size_t before = log->records.size();
    by_cookie(c);
    EXPECT_EQ(c.step.ways, n);
    EXPECT_EQ(log->records.size(), before) << "nothing is stored before step 3";
    EXPECT_EQ(engine->connections(), config.max_half_open);
    go_on(c);
    expect_echoed(c);
    EXPECT_EQ(engine->counters().syn_cookies_accepted, 1U);
  }
}

TEST_F(WaysFlood, ACookieSettlesOnTheServicesMost) {
  config.services[0].ways.max = 6;
  Client c = with_cookie(40);
  EXPECT_EQ(c.step.ways, 6);
  // Not even its initiator can have more than was settled on, nor any other number.
  for (const int other : {3, 4, 5, 7, 40}) {
    Client liar = c;
    liar.step.ways = static_cast<std::uint8_t>(other);
    ack(liar);
    store();
    EXPECT_TRUE(expect_one().header.flags.rst) << other;
  }
  go_on(c);
  expect_echoed(c);
}

TEST_F(WaysFlood, ThreeAreCarriedInStepsTwoAndThree) {
  config.services[0].ways.max = 3;
  Client c = with_cookie(8);
  EXPECT_EQ(c.step.ways, 3);
  ack(c);
  store();
  EXPECT_GT(expect_one().header.window, 0);
  c.step = {};
  expect_echoed(c);
}

TEST_F(WaysFlood, AWrongEchoOrStepOpensNothing) {
  Client c = with_cookie(8);
  const std::size_t before = log->records.size();
  for (const std::uint32_t wrong : {1U, 0x80000000U, c.step.echo}) {
    Client forger = c;
    forger.step.echo ^= wrong;
    ack(forger);
    store();
    EXPECT_TRUE(expect_one().header.flags.rst);
  }
  for (std::uint8_t step = 1; step <= 8; ++step) {
    if (step == 3) continue;
    Client early = c;
    early.step.step = step;
    ack(early);
    store();
    EXPECT_TRUE(expect_one().header.flags.rst) << int{step};
  }
  EXPECT_EQ(log->records.size(), before);
  EXPECT_EQ(engine->counters().syn_cookies_accepted, 0U);
  EXPECT_EQ(engine->connections(), config.max_half_open);
}

TEST_F(WaysFlood, WithoutTheOptionItIsAnOrdinaryHandshakeWhereThatIsEnough) {
  Client c = with_cookie(8);
  c.step = {};
  ack(c);
  store();
  EXPECT_GT(expect_one().header.window, 0);
  expect_echoed(c);
}

TEST_F(WaysFlood, AServiceThatRequiresMoreHasCookiesAndTakesNoFewer) {
  config.services[0].ways.min = 5;
  begin();
  for (std::uint16_t i = 1; i <= config.max_half_open; ++i) syn(proposes(8, i));
  store();
  link.sent.clear();
  Client c = proposes(8);
  by_cookie(c);
  Client plain = c;
  plain.step = {};
  ack(plain);
  store();
  EXPECT_TRUE(expect_one().header.flags.rst);
  go_on(c);
  expect_echoed(c);
}

TEST_F(WaysFlood, TheSynAgainIsAnsweredOnceTheRecordIsStored) {
  begin();
  fill();
  Client c = proposes(8);
  const Client first = c;
  by_cookie(c);
  ack(c);
  syn(first);
  EXPECT_TRUE(silent()) << "a SYN-ACK of a connection whose record is not stored";
  store();
  EXPECT_EQ(expect_one().header.options.ways->step, 4);
  syn(first);
  const Sent again = expect_one();
  EXPECT_EQ(again.header.seq, c.irs);
  EXPECT_EQ(again.header.options.ways->step, 2);
}

// Its own cookie, once more within the same tick, with the same sequence numbers: an old duplicate of each odd step
// must not go through, so the node's nonces have to be new ones.
TEST_F(WaysFlood, OldDuplicatesOfAllStepsOpenNothing) {
  Client c = with_cookie(8);
  std::vector<Client> steps;
  while (c.step.step < 8) {
    steps.push_back(c);
    ack(c);
    store();
    answer(c, expect_one());
  }
  c.step = {};
  reset(c);
  pass(1s);  // so that its close record is stored
  ASSERT_EQ(engine->connections(), config.max_half_open);
  begin_again();  // forgets which cookies were used
  const std::size_t before = engine->connections();
  for (const Client& step : steps) {
    ack(step);
    store();
  }
  ASSERT_EQ(engine->connections(), before + 1) << "step 3 is as good as it was";
  EXPECT_EQ(engine->list().back().state, tcp::State::kSynReceived);
}

// The SYN was answered with a cookie; its repetition found a place, and step 3 answered that. What the cookie's ACK
// would open is not what the peer has.
TEST_F(WaysFlood, AnOldCookieDoesNotEndAHandshakeWhosePeerHasAnswered) {
  begin();
  fill();
  Client c = proposes(8);
  const Client first = c;
  by_cookie(c);
  const Client old = c;
  reset({wire::Port{1}});
  store();
  link.sent.clear();
  c = first;
  syn(c);
  store();
  took(c, expect_one());
  ASSERT_NE(c.irs, old.irs);
  ack(c);
  store();
  EXPECT_EQ(link.sent.back().header.options.ways->step, 4);
  link.sent.clear();
  ack(old);
  Client plain = old;
  plain.step = {};
  ack(plain);
  store();
  link.sent.clear();
  EXPECT_EQ(engine->counters().syn_cookies_accepted, 0U);
  now += 2s;  // past what limits answers to duplicates
  ack(c);
  store();
  answer(c, link.sent.back());
  link.sent.clear();
  go_on(c);
  expect_echoed(c);
}

TEST_F(WaysFlood, AConnectionByCookieGoesOnWithItsHandshakeAfterARestart) {
  Client c = with_cookie(8);
  ack(c);
  store();
  const Sent fourth = expect_one();
  begin_again();
  now += 10ms;  // it has said step 4 by itself, and that is lost: until then it would be on its way
  ack(c);
  store();
  ASSERT_FALSE(link.sent.empty());
  const Sent again = link.sent.back();
  link.sent.clear();
  EXPECT_EQ(again.header.options.ways->step, 4);
  EXPECT_EQ(again.header.options.ways->nonce, fourth.header.options.ways->nonce);
  answer(c, again);
  go_on(c);
  expect_echoed(c);
}

TEST_F(WaysFlood, AVolatileNodeHasThemToo) {
  start({}, true);
  meet();
  fill();
  Client c = proposes(6);
  by_cookie(c);
  while (c.step.step < 6) {
    ack(c);
    store();
    answer(c, expect_one());
  }
  EXPECT_EQ(engine->list().back().state, tcp::State::kEstablished);
}

}  // namespace
}  // namespace holdfast::stack::testing
