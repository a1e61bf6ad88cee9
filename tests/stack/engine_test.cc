// Active connections of an engine on a log, over deaths of its process: two engines on one wire, time that the test
// moves.
#include "stack/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>

#include "location/memory.h"

namespace holdfast::stack {
namespace {

using testing::HasSubstr;

constexpr wire::Ipv4Address kOurs{0x0a4e0002}, kPeer{0x0a4e0001};
constexpr wire::Port kEcho{7001}, kStore{7000};

// What one engine sends and the other has not been given yet.
class Wire final : public wire::FrameSink {
 public:
  struct Frame {
    std::vector<std::byte> bytes;
    std::uint16_t gso_size = 0;
  };
  void transmit(const wire::TxFrame& frame) override {
    if (cut) return;
    Frame copy{{frame.head.begin(), frame.head.end()}, frame.gso_size};
    for (const Bytes piece : frame.payload) copy.bytes.insert(copy.bytes.end(), piece.begin(), piece.end());
    frames.push_back(std::move(copy));
  }
  std::deque<Frame> frames;
  bool cut = false;
};

class User final : public ClientHandler {
 public:
  void established() override { ++times_established; }
  void received(Bytes bytes) override { got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }
  void peer_finished() override { ++times_peer_finished; }
  void finished(tcp::CloseReason reason) override { ended = reason; }

  std::string got;
  int times_established = 0, times_peer_finished = 0;
  std::optional<tcp::CloseReason> ended;
};

std::string some_text(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('!' + i * 7 % 89 + i / 4096 % 5);
  return text;
}

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

class EngineTest : public testing::Test {
 protected:
  EngineTest() {
    Config config = config_of(kPeer);
    config.services = {{ServiceKind::kEcho, kEcho}, {ServiceKind::kStore, kStore}};
    const std::array<std::byte, 64> random{std::byte{1}};
    peer = std::make_unique<Engine>(config, from_peer, nullptr, gate::Recovery(), random, nullptr, now);
  }

  static Config config_of(wire::Ipv4Address address) {
    Config config;
    config.ip.address = {address, 24};
    config.ip.mac = {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(address.value & 0xff)}};
    config.tcp.send_buffer = 8U << 20;
    return config;
  }

  // A start of our engine on what the disk holds. It has not spoken yet.
  void start() {
    gate::Recovery recovered;
    std::vector<std::unique_ptr<location::Location>> locations;
    locations.push_back(std::make_unique<location::Memory>(disk));
    log::Options options;
    options.segment_size = 4U << 20;
    ++starts;
    const std::array<std::byte, 96> entropy{static_cast<std::byte>(starts)};
    auto log = log::Log::open(std::move(locations), options, entropy, std::chrono::seconds(1), recovered);
    ASSERT_TRUE(log) << log.error().message;
    unfinished = recovered.connections();
    const std::array<std::byte, 64> random{static_cast<std::byte>(starts + 1)};
    ours = std::make_unique<Engine>(config_of(kOurs), from_us, *std::move(log), std::move(recovered), random, nullptr,
                                    now);
  }

  void kill() {
    disk->crash([](const location::PendingOperation&) { return location::Fate{}; });
    ours.reset();
    from_peer.frames.clear();  // nobody holds the device
  }

  static void give(Engine& to, Wire& from, Time at) {
    while (!from.frames.empty() && to.wants_frames()) {
      Wire::Frame frame = std::move(from.frames.front());
      from.frames.pop_front();
      wire::RxFrame in;
      in.head = frame.bytes;
      in.checksum_trusted = true;
      in.gso_size = frame.gso_size;
      to.on_frame(in, at);
    }
  }

  // Until `done`, for at most a minute of the engines' time.
  template <class Done>
  bool run(Done&& done) {
    const Time bound = now + std::chrono::minutes(1);
    while (now < bound) {
      for (int i = 0; i < 100; ++i) {
        if (ours) give(*ours, from_peer, now);
        give(*peer, from_us, now);
        if (ours) ours->pump(now);
        peer->pump(now);
        if (done()) return true;
        if (from_us.frames.empty() && from_peer.frames.empty() && (!ours || !ours->busy())) break;
      }
      now += std::chrono::milliseconds(1);
    }
    return false;
  }

  StreamId connect(User& user, wire::Port port) {
    auto id = ours->connect({kPeer, port}, user, now);
    EXPECT_TRUE(id);
    return *id;
  }

  // Sends all of it, in as many turns as it takes.
  bool send(StreamId id, std::string_view text) {
    return run([&] {
      const auto room = std::min(ours->send_room(id), text.size());
      text.remove_prefix(ours->send(id, bytes_of(text.substr(0, room)), now));
      return text.empty();
    });
  }

  ConnectionInfo info(StreamId id) const {
    for (const ConnectionInfo& one : ours->list()) {
      if (one.id == id) return one;
    }
    return {};
  }

  Time now{};
  unsigned starts = 0;
  Wire from_us, from_peer;
  std::shared_ptr<location::MemoryDisk> disk = std::make_shared<location::MemoryDisk>("disk");
  std::unique_ptr<Engine> peer, ours;
  std::map<StreamId, gate::RecoveredConnection> unfinished;
};

TEST_F(EngineTest, AnAdoptedConnectionGoesOnWhereItsProcessDied) {
  const std::string first = some_text(300'000), second = some_text(200'000);
  start();
  User before, after;
  const StreamId id = connect(before, kEcho);
  ASSERT_TRUE(run([&] { return before.times_established == 1; }));
  ASSERT_TRUE(send(id, first));
  ASSERT_TRUE(run([&] { return before.got.size() > 100'000; }));
  const auto port = info(id).tuple.local.port;
  kill();

  start();
  ASSERT_EQ(unfinished.size(), 1U);
  const auto from = ours->adopt(id, after);
  ASSERT_TRUE(from) << from.error().message;
  EXPECT_GE(from->value, before.got.size());  // what a handler was given was stored
  ASSERT_TRUE(run([&] { return after.times_established == 1; }));
  EXPECT_EQ(info(id).tuple.local.port, port);
  const auto stored = unfinished.at(id).record.snapshot.snd_end.value;
  ASSERT_TRUE(send(id, first.substr(stored) + second));
  ASSERT_TRUE(run([&] { return ours->send_fin(id, now); }));
  ASSERT_TRUE(run([&] { return after.times_peer_finished == 1; }));
  EXPECT_EQ(after.got, (first + second).substr(from->value));
  EXPECT_EQ(peer->counters().opened, 1U);
}

TEST_F(EngineTest, AConnectionAdoptedBeforeItsSynWasAnsweredIsEstablished) {
  start();
  User before, after;
  from_us.cut = true;
  const StreamId id = connect(before, kStore);
  ASSERT_FALSE(run([&] { return before.times_established == 1; }));
  kill();
  from_us.cut = false;

  start();
  EXPECT_EQ(ours->adopt(id, after).value().value, 0U);
  ASSERT_TRUE(run([&] { return after.times_established == 1; }));
  ASSERT_TRUE(send(id, "hello"));
  ASSERT_TRUE(ours->send_fin(id, now));
  ASSERT_TRUE(run([&] { return after.times_peer_finished == 1; }));
  EXPECT_EQ(peer->counters().opened, 1U);
}

TEST_F(EngineTest, AConnectionMayBeAdoptedAfterItHasSpoken) {
  start();
  User before, after;
  const StreamId id = connect(before, kEcho);
  ASSERT_TRUE(run([&] { return before.times_established == 1; }));
  kill();

  start();
  ASSERT_TRUE(run([&] { return !ours->recovering(); }));
  ASSERT_TRUE(send(id, "unheard"));
  ASSERT_TRUE(run([&] { return info(id).in_released == 7; }));
  EXPECT_EQ(ours->adopt(id, after).value().value, 7U);
  ASSERT_TRUE(send(id, "heard"));
  ASSERT_TRUE(run([&] { return after.got == "heard"; }));
  EXPECT_EQ(after.times_established, 1);
}

TEST_F(EngineTest, OnlyAnActiveConnectionWithoutAHandlerCanBeAdopted) {
  start();
  User user, other;
  const StreamId id = connect(user, kEcho);
  EXPECT_THAT(ours->adopt(id, other).error().message, HasSubstr("no connection to go on with"));
  EXPECT_FALSE(ours->adopt(StreamId{77}, other));
  ASSERT_TRUE(run([&] { return user.times_established == 1; }));
  EXPECT_FALSE(ours->adopt(id, other));
  ASSERT_EQ(peer->list().size(), 1U);
  EXPECT_FALSE(peer->adopt(peer->list()[0].id, other));  // a service's
}

TEST_F(EngineTest, ARetiredConnectionIsClosedInTheLog) {
  start();
  User before, after;
  const StreamId id = connect(before, kStore);
  ASSERT_TRUE(run([&] { return before.times_established == 1; }));
  ours->retire(id, now);  // not in this state
  EXPECT_FALSE(before.ended);
  ASSERT_TRUE(send(id, "hello"));
  ASSERT_TRUE(ours->send_fin(id, now));
  ASSERT_TRUE(run([&] { return before.times_peer_finished == 1; }));
  ASSERT_EQ(info(id).state, tcp::State::kTimeWait);
  kill();

  // Killed before it was retired: whoever adopts it hears that all is over.
  start();
  ASSERT_TRUE(ours->adopt(id, after));
  ASSERT_TRUE(run([&] { return after.times_peer_finished == 1; }));
  EXPECT_EQ(info(id).state, tcp::State::kTimeWait);
  ours->retire(id, now);
  const Lsn all = ours->log()->barrier();
  ASSERT_TRUE(run([&] { return ours->log()->durable() >= all && after.ended; }));
  EXPECT_EQ(after.ended, tcp::CloseReason::kNormal);
  kill();
  start();
  EXPECT_TRUE(unfinished.empty());
}

TEST_F(EngineTest, SendTakesNoMoreThanTheLogHasRoomFor) {
  const std::string text = some_text(8U << 20);
  start();
  User user;
  const StreamId id = connect(user, kStore);
  ASSERT_TRUE(run([&] { return user.times_established == 1; }));
  disk->faults.automatic = false;  // nothing is stored from here on
  const auto room = std::min(ours->send_room(id), text.size());
  const auto taken = ours->send(id, bytes_of(text).first(room), now);
  EXPECT_GT(taken, 0U);
  EXPECT_LT(taken, room);
  EXPECT_EQ(info(id).out_queued, taken);
  disk->faults.automatic = true;
  ASSERT_TRUE(send(id, std::string_view(text).substr(taken)));
  ASSERT_TRUE(run([&] { return ours->send_fin(id, now); }));
  ASSERT_TRUE(run([&] { return user.times_peer_finished == 1; }));
  EXPECT_EQ(peer->counters().bytes_stored, text.size());
}

}  // namespace
}  // namespace holdfast::stack
