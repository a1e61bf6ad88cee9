// Whole connections over a bad wire: both streams must come out as they went in, whatever happens on the way.
#include "world.h"

namespace holdfast::tcp::test {
namespace {

void expect_both_streams(World& w, const char* what) {
  EXPECT_EQ(w.a.received.size(), w.b.to_write.size()) << what;
  EXPECT_EQ(w.b.received.size(), w.a.to_write.size()) << what;
  EXPECT_TRUE(w.a.received == w.b.to_write) << what;
  EXPECT_TRUE(w.b.received == w.a.to_write) << what;
  EXPECT_TRUE(w.a.received_fin && w.b.received_fin) << what;
  EXPECT_EQ(w.a.close_reason, CloseReason::kNormal) << what;
  EXPECT_EQ(w.b.close_reason, CloseReason::kNormal) << what;
}

void fill(Endpoint& e, std::size_t n, std::uint32_t seed) {
  e.to_write = pattern(n, seed);
  e.write_fin = true;
}

TEST(Transfer, CleanWireBothWays) {
  World w(1);
  fill(w.a, 300'000, 1);
  fill(w.b, 200'000, 2);
  w.connect();
  w.a.top_up(*w.a.connection);
  EXPECT_TRUE(w.run(300s));
  expect_both_streams(w, "clean");
}

// MUST-10.
TEST(Transfer, BulkAtFullRateNeedsNoRetransmission) {
  World w(2);
  w.faults.coalesce = true;
  w.faults.per_byte = Duration(8);
  fill(w.a, 20'000'000, 1);
  w.a.config.send_buffer = 4 << 20;
  fill(w.b, 0, 2);
  w.connect();
  w.a.top_up(*w.a.connection);
  EXPECT_TRUE(w.run(300s));
  expect_both_streams(w, "bulk");
  EXPECT_LT(w.frames, 20'000'000 / 30'000);
}

// Megabits a second over 100 Mbit/s with a round trip of 10 ms.
double goodput(double loss, CongestionControl congestion, bool sack) {
  constexpr std::size_t kBytes = 2'000'000;
  Duration total{};
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    World w(seed);
    w.faults.loss = loss;
    w.faults.per_byte = Duration(80);
    w.a.config.sack = sack;
    w.a.config.congestion = congestion;
    fill(w.a, kBytes, 1);
    fill(w.b, 0, 2);
    w.b.window = 4 << 20;
    w.connect();
    w.a.top_up(*w.a.connection);
    EXPECT_TRUE(w.run(2000s, [&] { return w.b.received_fin; }));
    total += w.now().time_since_epoch();
  }
  return 4.0 * kBytes * 8 / 1e6 / std::chrono::duration<double>(total).count();
}

// RFC9293: MUST-19. The rate follows loss as the square-root law has it, give or take two; time-outs cost more.
TEST(Transfer, RateFollowsLoss) {
  EXPECT_GT(goodput(0, CongestionControl::kReno, true), 75);
  const double one = goodput(0.01, CongestionControl::kReno, true);
  const double law = 1448 * 8 / 1e6 / 0.0105 * 1.22 / 0.1;
  EXPECT_GT(one, law / 2);
  EXPECT_LT(one, law * 2);
  for (const bool sack : {true, false}) {
    for (const CongestionControl congestion : {CongestionControl::kReno, CongestionControl::kCubic}) {
      const double three = goodput(0.03, congestion, sack);
      const double ten = goodput(0.1, congestion, sack);
      EXPECT_LT(three, goodput(0.01, congestion, sack));
      EXPECT_LT(ten, three / 2);
      EXPECT_GT(ten, 0.3);
    }
  }
}

struct Options {
  bool timestamps, sack, scale, nagle, storing_lags, cubic;
};

Options options_of(std::uint64_t seed) {
  return {(seed & 1) == 0, (seed & 2) == 0, (seed & 4) == 0, (seed & 8) == 0, (seed & 16) == 0, (seed & 32) == 0};
}

void configure(Endpoint& e, const Options& o) {
  e.config.timestamps = o.timestamps;
  e.config.sack = o.sack;
  e.config.window_scale = o.scale;
  e.config.nagle = o.nagle;
  e.config.congestion = o.cubic ? CongestionControl::kCubic : CongestionControl::kReno;
  e.store_at_once = !o.storing_lags;
}

TEST(Transfer, AnyMixOfLossDuplicationAndReorderingKeepsBothStreams) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    World w(seed);
    w.faults.loss = w.chance() * 0.12;
    w.faults.duplicate = w.chance() * 0.1;
    w.faults.reorder = w.chance() * 0.3;
    w.faults.jitter = std::chrono::milliseconds(w.pick(30));
    w.faults.coalesce = w.chance() < 0.3;
    w.store_lag = std::chrono::microseconds(w.pick(20'000));
    configure(w.a, options_of(seed));
    configure(w.b, options_of(seed / 2));
    w.a.window = 4000 + w.pick(200'000);
    w.b.window = 4000 + w.pick(200'000);
    w.a.config.send_buffer = static_cast<std::uint32_t>(2000 + w.pick(200'000));
    w.b.config.reassembly_bytes = static_cast<std::uint32_t>(3000 + w.pick(100'000));
    fill(w.a, w.pick(150'000), 1);
    fill(w.b, w.pick(150'000), 2);
    w.a_iss = SeqNum{static_cast<std::uint32_t>(w.pick(1ULL << 32))};
    w.b_iss = SeqNum{static_cast<std::uint32_t>(w.pick(1ULL << 32))};
    w.connect();
    w.a.top_up(*w.a.connection);
    ASSERT_TRUE(w.run(20'000s));
    expect_both_streams(w, "mixed");
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace holdfast::tcp::test
