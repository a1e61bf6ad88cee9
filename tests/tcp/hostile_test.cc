// Nothing that arrives may break an invariant, make us speak of unstored bytes, or cost without bound.
#include <malloc.h>

#include "tcp/connection_impl.h"
#include "world.h"

namespace holdfast::tcp::test {
namespace {

class Hostile : public Solo {
 protected:
  std::mt19937_64 random;
  ByteVector noise = pattern(70'000);

  std::uint64_t pick(std::uint64_t n) { return random() % n; }
  bool coin(unsigned percent) { return pick(100) < percent; }

  // Near something that matters, or anywhere.
  std::int64_t some_position() {
    const std::int64_t places[] = {-1,
                                   0,
                                   static_cast<std::int64_t>(c().received().value),
                                   static_cast<std::int64_t>(c().released().value),
                                   static_cast<std::int64_t>(c().advertised().value),
                                   static_cast<std::int64_t>(random() & 0xffffffff)};
    return places[pick(6)] + static_cast<std::int64_t>(pick(2000)) * (coin(50) ? 1 : 0) -
           static_cast<std::int64_t>(pick(3));
  }
  std::int64_t some_ack() {
    const std::int64_t places[] = {
        static_cast<std::int64_t>(c().acknowledged().value), static_cast<std::int64_t>(c().queued().value),
        static_cast<std::int64_t>(c().queued().value) + 1, static_cast<std::int64_t>(random() & 0xffffffff)};
    const std::size_t which = coin(10) ? 3 : pick(3);
    return places[which] - static_cast<std::int64_t>(pick(3));
  }
  SegmentIn some_segment() {
    wire::TcpFlags flags;
    flags.ack = coin(95);
    flags.syn = coin(3);
    flags.fin = coin(3);
    flags.rst = coin(1);
    flags.psh = coin(30);
    flags.urg = coin(3);
    SegmentIn s = segment(flags, some_position(), some_ack());
    s.payload = Bytes(noise).first(coin(50) ? 0 : pick(coin(5) ? 65'000 : 3000));
    s.header.window = static_cast<std::uint16_t>(coin(20) ? 0 : random());
    s.header.urgent = static_cast<std::uint16_t>(random());
    if (s.header.options.timestamps) {
      if (coin(3))
        s.header.options.timestamps.reset();
      else if (coin(10))
        s.header.options.timestamps->value += static_cast<std::uint32_t>(random());
      else
        s.header.options.timestamps->value = peer_ts += static_cast<std::uint32_t>(pick(2));
      if (coin(10) && s.header.options.timestamps)
        s.header.options.timestamps->echo_reply = static_cast<std::uint32_t>(random());
    }
    for (std::uint64_t n = coin(30) ? pick(5) : 0; n > 0; --n) {
      const std::int64_t left = some_ack();
      s.header.options.sack.push({our_seq(left), our_seq(left + static_cast<std::int64_t>(pick(3000)) - 100)});
    }
    if (coin(5)) s.header.options.mss = static_cast<std::uint16_t>(random());
    return s;
  }
  void something_else() {
    switch (pick(9)) {
      case 0:
        if (c().send_room() > 0) e.queue(Bytes(noise).first(std::min<std::size_t>(c().send_room(), pick(20'000))));
        break;
      case 1:
        if (coin(3) && c().state() != State::kClosed) e.finish_writing();
        break;
      case 2:
        if (c().deadline() != kNever) {
          now() = std::max(now(), c().deadline());
          c().on_deadline(now());
        }
        break;
      case 3:
        e.stalled = coin(10);
        c().on_allowance_changed(now());
        break;
      case 4:
        e.window = pick(300'000);
        c().on_allowance_changed(now());
        break;
      case 5:
        e.store_all();
        break;
      case 6:
        e.refuse_delivery = coin(5);
        break;
      case 7:
        c().on_icmp_error(our_seq(some_ack()), coin(30), static_cast<std::uint16_t>(random()), now());
        break;
      default:
        now() += std::chrono::microseconds(pick(300'000));
    }
  }
};

TEST_F(Hostile, NoSegmentBreaksAnInvariant) {
  std::size_t ended = 0, closed_normally = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(seed);
    random.seed(seed);
    e.~Endpoint();
    new (&e) Endpoint;
    peer_timestamps = coin(50);
    peer_sack = coin(50);
    peer_scale.reset();
    if (coin(50)) peer_scale = static_cast<std::uint8_t>(pick(20));
    peer_mss = static_cast<std::uint16_t>(random());
    e.store_at_once = coin(50);
    e.config.nagle = coin(50);
    e.config.keepalive = coin(20);
    e.config.congestion = coin(50) ? CongestionControl::kReno : CongestionControl::kCubic;
    if (coin(50)) {
      accept();
      c().on_record_stored(now());
      if (coin(80)) arrive(kAck, 0, 0);
    } else {
      connect();
      c().on_record_stored(now());
      if (coin(80)) arrive(syn(coin(80) ? kSynAckFlags : kSyn));
    }
    for (int i = 0; i < 300 && !e.close_reason; ++i) {
      if (coin(70)) {
        const SegmentIn s = some_segment();
        e.out.clear();
        arrive(s);
        EXPECT_LE(e.out.size(), 200U) << "one segment draws no flood";
      } else {
        something_else();
      }
      if (!e.connection || c().state() == State::kClosed) break;
      ASSERT_LE(c().released(), c().received());
      ASSERT_LE(e.held.size(), 5000U);
    }
    ended += e.close_reason.has_value();
    closed_normally += e.close_reason == CloseReason::kNormal;
  }
  EXPECT_GT(ended, 100U);
  EXPECT_LT(ended, 2990U) << "most runs must get somewhere";
  (void)closed_normally;
}

// ---- Cost ----

// What the allocator gave out: bytes in use now.
std::size_t in_use() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

TEST_F(Hostile, IdleConnectionCostsLittle) {
  peer_timestamps = peer_sack = true;
  peer_scale = 7;
  const SegmentIn s = syn();
  establish();
  std::vector<std::unique_ptr<Connection>> many;
  many.reserve(100);
  std::vector<std::unique_ptr<Endpoint>> hosts;
  for (int i = 0; i < 100; ++i) hosts.push_back(std::make_unique<Endpoint>());
  const std::size_t before = in_use();
  for (int i = 0; i < 100; ++i)
    many.push_back(
        Connection::accept(*hosts[static_cast<std::size_t>(i)], e.config, StreamId{1}, kTuple, s, our_iss, 0, now()));
  const std::size_t each = (in_use() - before) / 100;
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_LT(each, 2048U);
  EXPECT_GT(each, 500U) << "the measure works";
#endif
  RecordProperty("bytes", static_cast<int>(each));
}

}  // namespace
}  // namespace holdfast::tcp::test
