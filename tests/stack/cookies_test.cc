// SYN floods, through the whole engine: RFC 4987 section 3.6, ARCHITECTURE.md "SYN flood".
#include "stack/cookies.h"

#include <malloc.h>

#include "flood.h"
#include "tcp/cookie.h"
#include "tcp/isn.h"

namespace holdfast::stack::testing {
namespace {

TEST_F(Flood, SynBeyondTheBoundIsAnsweredAtOnceAndLeavesNothingBehind) {
  begin();
  fill();
  const std::size_t before = log->records.size();
  Client c{wire::Port{40000}};
  syn(c);
  const Sent s = expect_one();
  took(c, s);
  EXPECT_EQ(s.header.window, 0);
  EXPECT_EQ(s.header.options.timestamps->echo_reply, c.ts);
  EXPECT_EQ(log->records.size(), before);
  EXPECT_EQ(engine->connections(), config.max_half_open);
  EXPECT_EQ(engine->counters().syn_cookies_sent, 1U);
  // Each service has a bound of its own.
  syn({wire::Port{40001}, kEcho});
  EXPECT_EQ(log->records.size(), before + 1);
}

TEST_F(Flood, ConnectionOpensByItsCookieAndItsBytesAreStored) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  const std::size_t before = records(log::RecordType::kConnection);
  ack(c);
  engine->pump(now);
  EXPECT_TRUE(silent()) << "the record is not stored yet";
  EXPECT_EQ(records(log::RecordType::kConnection), before + 1);
  data(c, bytes);
  EXPECT_TRUE(stored().empty()) << "nobody has invited it";
  store();
  const Sent window = expect_one();
  EXPECT_EQ(window.header.seq, c.irs + 1);
  EXPECT_EQ(window.header.ack, c.iss + 1);
  EXPECT_GT(window.header.window, 0);
  data(c, bytes);
  engine->pump(now);
  EXPECT_TRUE(silent()) << "the bytes are not stored yet";
  store();
  EXPECT_EQ(expect_one().header.ack, c.iss + 1 + 1000);
  EXPECT_EQ(stored(), bytes);
  EXPECT_EQ(engine->counters().syn_cookies_accepted, 1U);
  for (const ConnectionInfo& info : engine->list()) {
    EXPECT_EQ(info.state == tcp::State::kEstablished, info.tuple.peer.port == c.port);
  }
}

// The ACK is lost: what comes is the probe of a closed window, with or without a byte.
TEST_F(Flood, ProbeOpensTheConnectionWhereTheAckWasLost) {
  begin();
  fill();
  for (const std::uint32_t at : {0U, ~0U}) {
    Client c{wire::Port{static_cast<std::uint16_t>(40000 + (at & 1))}};
    by_cookie(c);
    data(c, at == 0 ? Buffer(1, std::byte{'x'}) : Buffer{}, at);
    store();
    ASSERT_FALSE(silent());
    EXPECT_GT(expect_one().header.window, 0);
  }
  EXPECT_EQ(engine->counters().syn_cookies_accepted, 2U);
}

TEST_F(Flood, CostsNeitherMemoryNorAWriteAndHarmsNobody) {
  begin();
  Client old{wire::Port{50000}};
  establish(old);
  fill();
  flood(2000);  // whatever grows to its bound has grown
  store();
  link.quiet = true;
  const std::uint64_t left = link.frames;
  const std::size_t had = mallinfo2().uordblks;
  const std::size_t written = log->records.size();
  const auto barriers = log->barriers;
  flood(100'000);
  EXPECT_EQ(mallinfo2().uordblks, had);
  EXPECT_EQ(log->records.size(), written);
  EXPECT_LE(log->barriers - barriers, 1U) << "an empty batch, to ask for those who are not there";
  EXPECT_EQ(engine->counters().syn_cookies_sent, 102'000U);
  EXPECT_GE(link.frames - left, 50'000U);
  EXPECT_EQ(engine->connections(), config.max_half_open + 1);
  link.quiet = false;
  store();
  link.sent.clear();

  // The established one goes on, and a new one finds its way.
  data(old, bytes);
  store();
  EXPECT_EQ(expect_one().header.ack, old.iss + 1 + 1000);
  Client c{wire::Port{40000}};
  by_cookie(c);
  ack(c);
  store();
  EXPECT_GT(expect_one().header.window, 0);
  data(c, bytes);
  store();
  EXPECT_EQ(expect_one().header.ack, c.iss + 1 + 1000);
  EXPECT_EQ(stored(), bytes);
}

TEST_F(Flood, TimestampIsNeverAboveTheStoredCeilingNorGoesBack) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  const std::uint32_t first = c.ts_recent;
  const std::uint32_t offset = tcp::timestamp_offset(secrets.timestamp, {{kNode, kStore}, {kPeer, c.port}});
  const auto highest = static_cast<std::uint32_t>(log->ceiling / 1'000'000);
  std::uint32_t before = first;
  // Nothing is stored: after 2 s the clock stands still.
  for (int i = 0; i < 60; ++i) {
    now += 97ms;
    syn(c);
    took(c, expect_one());
    EXPECT_LE(c.ts_recent - before, 128U);
    EXPECT_LE(static_cast<std::int32_t>(c.ts_recent - offset - highest), 0);
    before = c.ts_recent;
  }
  EXPECT_LE(before - first, 2000U + 31);
  EXPECT_GE(before - first, 1900U);
  // What the connection shows is never earlier, though its clock is to the millisecond.
  ack(c);
  store();
  EXPECT_LT(expect_one().header.options.timestamps->value - before, 10'000U);
}

// ---- Restarts ----

TEST_F(Flood, ReplacementAcceptsItsPredecessorsCookiesWhateverItsTableHolds) {
  begin();
  fill();
  Client c{wire::Port{40000}}, late{wire::Port{40001}};
  by_cookie(c);
  by_cookie(late);
  config.max_half_open = 1024;             // nothing is full any more
  config.wall_clock += 7'200'000'000'000;  // and two hours have passed, as far as the clock can tell
  restart();
  ack(c);
  EXPECT_TRUE(silent());
  EXPECT_EQ(engine->counters().syn_cookies_accepted, 0U) << "the epoch's start is not stored";
  store();
  meet();
  ack(c);
  store();
  EXPECT_GT(expect_one().header.window, 0);
  data(c, bytes);
  store();
  EXPECT_EQ(expect_one().header.ack, c.iss + 1 + 1000);
  EXPECT_EQ(stored(), bytes);
  pass(tcp::kCookieLifetime - 1s);
  ack(late);
  store();
  EXPECT_GT(expect_one().header.window, 0) << "for the whole lifetime";
}

// The life between took it, and died before that was stored.
TEST_F(Flood, CookieIsGoodTwoLivesLaterWhereverTheWallClockIs) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  for (int life = 0; life < 2; ++life) {
    config.wall_clock += 5 * static_cast<std::uint64_t>(tcp::kCookieTick.count());
    restart();
    store();
    meet();
    ack(c);
    EXPECT_EQ(engine->counters().syn_cookies_accepted, 1U) << "after " << life + 1 << " restarts";
  }
  store();
  EXPECT_GT(expect_one().header.window, 0);
}

// It is 63.5 s old, made in one tick, and in the next one now; its replacement's clock begins in the one after that.
TEST_F(Flood, RestartTakesNothingOfACookiesLifetime) {
  const auto tick_of = [](std::uint64_t clock) { return tcp::cookie_tick(clock); };
  begin();
  const std::uint64_t first = tick_of(ceiling);
  ASSERT_EQ(ceiling, first * static_cast<std::uint64_t>(tcp::kCookieTick.count()));
  pass_busy(63500ms);
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  pass_busy(63500ms);
  restart();
  ASSERT_EQ(tick_of(ceiling), first + 2);
  store();
  meet();
  ack(c);
  store();
  EXPECT_GT(expect_one().header.window, 0);
}

// A leap of 25 days would look like one backwards to a peer (RFC 7323 section 5).
TEST_F(Flood, TimestampsGoOnWhereverTheWallClockIs) {
  begin();
  Client c{wire::Port{40000}};
  establish(c);
  const std::uint32_t before = c.ts_recent;
  config.wall_clock += 25ULL * 86400 * 1'000'000'000;
  restart();
  store();
  meet();
  data(c, bytes);
  store();
  ASSERT_FALSE(silent());
  const std::uint32_t after = link.sent.back().header.options.timestamps->value;
  EXPECT_GE(after - before, 1U);
  EXPECT_LE(after - before, 2001U);
}

// For want of anything to store the clock has stood, longer than a cookie is good for. The first thing that is stored
// does not make the cookie old that left just before.
TEST_F(Flood, CookieIsGoodWhereTheClockHadStoodStill) {
  begin();
  now += 200s;  // no ARP meanwhile, whose answers wait for a write
  Client c{wire::Port{40000}};
  for (std::uint32_t i = 1; i <= config.max_half_open; ++i) syn({wire::Port{static_cast<std::uint16_t>(i)}, kStore});
  by_cookie(c);
  now += 150ms;
  store();
  link.sent.clear();
  ack(c);
  store();
  EXPECT_FALSE(expect_one().header.flags.rst);
  EXPECT_EQ(engine->counters().syn_cookies_accepted, 1U);
}

TEST(Cookies, AreLookedForInNoMoreTicksThanTheyCanTellApart) {
  constexpr std::uint64_t kTick = 1000;
  const auto tick = static_cast<std::uint64_t>(tcp::kCookieTick.count());
  for (const std::uint64_t begun : {kTick * tick, (kTick + 1) * tick - 1}) {
    Cookies cookies;
    cookies.recovered(begun, Time{});
    for (Duration at{}; at < tcp::kCookieLifetime; at += 500ms) {
      const std::uint64_t clock = begun + static_cast<std::uint64_t>(at.count());
      const Cookies::Ticks ticks = cookies.acceptable(clock, Time{at});
      ASSERT_GE(ticks.count, 3U);
      ASSERT_LE(ticks.count, 4U);
      EXPECT_LT(ticks.ticks[0], kTick) << "what the predecessor has made at last";
      for (std::size_t i = 0; i < ticks.count; ++i) {
        EXPECT_EQ(ticks.ticks[i], tcp::cookie_tick(clock) + 1 + i - ticks.count);
      }
    }
    EXPECT_EQ(cookies.acceptable(begun, Time{tcp::kCookieLifetime}).count, 0U);
  }
  Cookies first;
  first.sent(Time{});
  EXPECT_EQ(first.acceptable(kTick * tick, Time{1s}).count, 2U);
}

TEST_F(Flood, AfterALifetimePredecessorsCookiesAreNoLongerLookedFor) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  restart();
  store();
  meet();
  pass(tcp::kCookieLifetime + 1s);
  const std::size_t opened = records(log::RecordType::kConnection);
  ack(c);
  store();
  EXPECT_TRUE(expect_one().header.flags.rst);
  EXPECT_EQ(records(log::RecordType::kConnection), opened);
}

TEST_F(Flood, ConnectionThatACookieOpenedOutlivesItsNode) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  ack(c);
  store();
  restart();
  store();
  meet();
  data(c, bytes);
  store();
  EXPECT_EQ(expect_one().header.ack, c.iss + 1 + 1000);
  EXPECT_EQ(engine->counters().syn_cookies_accepted, 0U);
}

// ---- Ghosts ----

TEST_F(Flood, AckOfAGoodCookieIsRefusedWhereNoneWasSent) {
  begin();
  pass_busy(tcp::kCookieLifetime + 1s);
  const std::size_t opened = records(log::RecordType::kConnection);
  // As good a cookie as the node itself could make now.
  Client c{wire::Port{40000}};
  const std::uint64_t clock = config.wall_clock + static_cast<std::uint64_t>((now - Time{1000s}).count());
  const wire::FourTuple tuple{{kNode, kStore}, {kPeer, c.port}};
  const auto made =
      tcp::cookie_syn_ack(secrets.cookie, config.tcp, tuple, header(c, {.syn = true}), tcp::cookie_tick(clock), 0);
  c.irs = made.seq;
  c.ts_recent = made.options.timestamps->value;
  ack(c);
  EXPECT_TRUE(silent()) << "a refusal waits for its barrier";
  store();
  EXPECT_TRUE(expect_one().header.flags.rst);
  EXPECT_EQ(records(log::RecordType::kConnection), opened);
  EXPECT_EQ(engine->counters().syn_cookies_rejected, 0U) << "nobody looks";
  // It was good: with one cookie under way, it is taken.
  fill();
  Client other{wire::Port{40001}};
  by_cookie(other);
  ack(c);
  store();
  EXPECT_EQ(engine->counters().syn_cookies_accepted, 1U);
}

TEST_F(Flood, CookiesOfALongerAgoAreRefused) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  pass_busy(tcp::kCookieLifetime + 1s);
  Client other{wire::Port{40001}};
  by_cookie(other);  // so that they are looked for
  ack(c);
  store();
  EXPECT_TRUE(expect_one().header.flags.rst);
  EXPECT_EQ(engine->counters().syn_cookies_accepted, 0U);
  EXPECT_EQ(engine->counters().syn_cookies_rejected, 1U);
}

TEST_F(Flood, ForgedAcksAreRefusedBehindTheBarrierAndCounted) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  for (unsigned bit = 0; bit < 32; ++bit) {
    Client forged = c;
    forged.irs = wire::SeqNum{c.irs.value ^ (1U << bit)};
    ack(forged);
  }
  EXPECT_TRUE(silent());
  store();
  EXPECT_EQ(link.sent.size(), 32U);
  EXPECT_EQ(engine->counters().syn_cookies_rejected, 32U);
  EXPECT_EQ(engine->counters().syn_cookies_accepted, 0U);
  EXPECT_EQ(engine->connections(), config.max_half_open);
}

TEST_F(Flood, DuplicateOfAnAckOpensNothingAgainOnceItsConnectionIsOver) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  ack(c);
  store();
  expect_one();
  reset(c);
  store();
  EXPECT_EQ(engine->connections(), config.max_half_open);
  const std::size_t opened = records(log::RecordType::kConnection);
  ack(c);
  store();
  EXPECT_TRUE(expect_one().header.flags.rst);
  EXPECT_EQ(records(log::RecordType::kConnection), opened);
  // Another incarnation is welcome.
  c.iss = c.iss + 100'000;
  by_cookie(c);
  ack(c);
  store();
  EXPECT_GT(expect_one().header.window, 0);
}

// ---- Places that become free, or not ----

// SYN, answered with a cookie; its duplicate finds a place; the client has the cookie.
TEST_F(Flood, HalfOpenConnectionOfADuplicateSynGivesWayToTheCookieThatThePeerHas) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  Client stranger{wire::Port{1}};
  reset(stranger);
  store();
  syn(c);
  store();
  const Sent second = expect_one();
  EXPECT_NE(second.header.seq, c.irs) << "an ordinary SYN-ACK";
  EXPECT_GT(second.header.window, 0);
  ack(c);
  store();
  const Sent s = expect_one();
  EXPECT_FALSE(s.header.flags.rst);
  EXPECT_EQ(s.header.seq, c.irs + 1);
  data(c, bytes);
  store();
  EXPECT_EQ(expect_one().header.ack, c.iss + 1 + 1000);
  EXPECT_EQ(engine->connections(), config.max_half_open) << "its place is free again";
}

TEST_F(Flood, NoCookieForWhatThereIsNoRoomFor) {
  config.max_connections = 3;
  begin();
  fill();
  Client c{wire::Port{40000}}, d{wire::Port{40001}};
  by_cookie(c);
  by_cookie(d);
  ack(c);
  store();
  expect_one();
  syn({wire::Port{40002}});
  EXPECT_TRUE(silent());
  EXPECT_EQ(engine->counters().backlog_full, 1U);
  // Silence, not a refusal: its client tries again.
  ack(d);
  store();
  EXPECT_TRUE(silent());
  reset(c);
  store();
  ack(d);
  store();
  EXPECT_GT(expect_one().header.window, 0);
}

TEST_F(Flood, LogWithoutRoomMakesTheClientTryAgain) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  log->no_room = true;
  ack(c);
  store();
  EXPECT_TRUE(silent());
  EXPECT_EQ(engine->connections(), config.max_half_open);
  log->no_room = false;
  ack(c);
  store();
  EXPECT_GT(expect_one().header.window, 0);
}

TEST_F(Flood, VolatileNodeHasCookiesOfItsOwn) {
  start({}, true);
  meet();
  fill();
  Client c{wire::Port{40000}};
  by_cookie(c);
  ack(c);
  store();
  EXPECT_GT(expect_one().header.window, 0);
  data(c, bytes);
  now += 100ms;  // the delayed ACK
  store();
  EXPECT_EQ(expect_one().header.ack, c.iss + 1 + 1000);
}

TEST_F(Flood, SegmentsThatAreNoSynGetNoCookie) {
  begin();
  fill();
  Client c{wire::Port{40000}};
  for (const wire::TcpFlags flags : {wire::TcpFlags{.fin = true, .syn = true}, wire::TcpFlags{.syn = true, .rst = true},
                                     wire::TcpFlags{.fin = true}, wire::TcpFlags{}}) {
    segment(header(c, flags));
  }
  store();
  EXPECT_TRUE(silent());
  segment(header(c, {.syn = true, .ack = true}));
  store();
  EXPECT_TRUE(expect_one().header.flags.rst);
  EXPECT_EQ(engine->counters().syn_cookies_sent, 0U);
}

}  // namespace
}  // namespace holdfast::stack::testing
