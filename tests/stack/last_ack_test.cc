// A service that dies when the last ACK of a connection has come and is not stored yet (nobody waits for that record,
// so it is in no hurry): for its replacement it has not come, and the peer may be there no more.
#include <gmock/gmock.h>

#include "flood.h"

namespace holdfast::stack::testing {
namespace {

class LastAck : public Flood {
 protected:
  // The peer has sent everything and closed, has our FIN, and its ACK of that is in the engine's hands.
  void die() {
    begin();
    establish(client);
    data(client, bytes);
    store();
    segment(header(client, {.fin = true, .ack = true}, 1000));
    store();
    EXPECT_TRUE(link.sent.back().header.flags.fin);
    EXPECT_EQ(state(), tcp::State::kLastAck);
    last_ack();
    engine->pump(now);
    EXPECT_TRUE(engine->list().empty());
    restart();
    store();
  }
  void last_ack() {
    wire::TcpHeader h = header(client, {.ack = true}, 1001);
    h.ack = client.irs + 2;
    segment(h);
  }
  tcp::State state() const { return engine->list().empty() ? tcp::State::kClosed : engine->list().front().state; }
  // Why the log has it as closed, if it has.
  std::optional<tcp::CloseReason> closed() const {
    for (const FakeLog::Appended& record : log->records) {
      if (record.header.type == log::RecordType::kClose && record.lsn <= log->stored) {
        return static_cast<tcp::CloseReason>(record.header.extra);
      }
    }
    return std::nullopt;
  }
  // What nobody waits for is stored too.
  void store_lazily() {
    now += 100ms;
    store();
  }
  // Nobody says anything. Returns how long it took until the node has no connection any more.
  Duration until_over() {
    const Time begin = now;
    while (!engine->list().empty() && engine->deadline() < begin + 1h) {
      now = std::max(now, engine->deadline());
      store();
    }
    EXPECT_TRUE(engine->list().empty());
    const Duration took = now - begin;
    store_lazily();
    return took;
  }

  Client client{wire::Port{40000}};
};

TEST_F(LastAck, WhoeverIsStillThereEndsIt) {
  die();
  meet();
  pass(1200ms);
  ASSERT_EQ(state(), tcp::State::kLastAck);
  ASSERT_EQ(closed(), std::nullopt);
  last_ack();
  store();
  store_lazily();
  EXPECT_EQ(closed(), tcp::CloseReason::kNormal);
}

TEST_F(LastAck, WithoutAPeerItEndsInBoundedTimeAndTheLogSaysHow) {
  die();
  meet();
  const Duration took = until_over();
  EXPECT_EQ(closed(), tcp::CloseReason::kTimeout);
  // docs/operating.md: "about eleven minutes".
  EXPECT_GT(took, 10min);
  EXPECT_LT(took, 12min);
}

TEST_F(LastAck, WithoutALinkAddressOfThePeerToo) {
  die();
  const Duration took = until_over();
  EXPECT_EQ(closed(), tcp::CloseReason::kTimeout);
  // docs/operating.md: "about eleven minutes".
  EXPECT_GT(took, 10min);
  EXPECT_LT(took, 12min);
}

}  // namespace
}  // namespace holdfast::stack::testing
