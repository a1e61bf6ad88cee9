// What the engine adds of its own: which local port an active connection gets.
#include <gmock/gmock.h>

#include <array>

#include "stack/engine.h"

namespace holdfast::stack {
namespace {

using ::testing::HasSubstr;

class NoWire : public wire::FrameSink {
 public:
  void transmit(const wire::TxFrame&) override {}
};

class LocalPort : public ::testing::Test {
 protected:
  static constexpr wire::Port kListening{7000}, kGiven{5000};
  static Config config() {
    Config config;
    config.ip.address = *wire::Ipv4Prefix::parse("10.77.0.2/24");
    config.services.push_back({ServiceKind::kStore, kListening});
    return config;
  }
  wire::Port port_of(StreamId id) {
    for (const auto& info : engine.list()) {
      if (info.id == id) return info.tuple.local.port;
    }
    ADD_FAILURE() << "no such connection";
    return {};
  }

  NoWire wire;
  ClientHandler handler;
  std::array<std::byte, 64> random{};
  Engine engine{config(), wire, nullptr, gate::Recovery(), random, nullptr, Time{}};
  const wire::Endpoint to = *wire::Endpoint::parse("10.77.0.1:6000");
  const wire::Endpoint other = *wire::Endpoint::parse("10.77.0.1:6001");
};

TEST_F(LocalPort, TheOneThatWasAskedForIsTaken) {
  const auto id = engine.connect(to, handler, Time{}, {.local_port = kGiven, .ways = {}});
  ASSERT_TRUE(id) << id.error().message;
  EXPECT_EQ(port_of(*id), kGiven);
  EXPECT_TRUE(engine.connect(other, handler, Time{}, {.local_port = kGiven, .ways = {}}))
      << "a connection is its four numbers";
}

TEST_F(LocalPort, OneInUseIsRefusedWithTheReason) {
  ASSERT_TRUE(engine.connect(to, handler, Time{}, {.local_port = kGiven, .ways = {}}));
  const auto again = engine.connect(to, handler, Time{}, {.local_port = kGiven, .ways = {}});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, Error::Kind::kBusy);
  EXPECT_THAT(again.error().message, HasSubstr("local port 5000 is in use: it has a connection to 10.77.0.1:6000"));
  const auto listening = engine.connect(to, handler, Time{}, {.local_port = kListening, .ways = {}});
  ASSERT_FALSE(listening);
  EXPECT_THAT(listening.error().message, HasSubstr("local port 7000 is in use: a service listens on it"));
}

TEST_F(LocalPort, WithoutOneAFreeOneIsDrawn) {
  const auto first = engine.connect(to, handler, Time{}), second = engine.connect(to, handler, Time{});
  ASSERT_TRUE(first && second);
  EXPECT_NE(port_of(*first), port_of(*second));
}

}  // namespace
}  // namespace holdfast::stack
