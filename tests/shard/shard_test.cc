// The loop, on a real device.
#include "shard/shard.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>

#include "link/network_namespace.h"
#include "shard/clock.h"

namespace holdfast::shard {
namespace {

class Loop : public link::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    auto ring = location::Ring::create();
    ASSERT_TRUE(ring) << ring.error().message;
    ring_ = *std::move(ring);
    auto tap = link::Tap::open({.name = "shard0"});
    ASSERT_TRUE(tap) << tap.error().message;
    tap_ = *std::move(tap);
    stack::Config config;
    config.ip.address = *wire::Ipv4Prefix::parse("10.77.0.2/24");
    engine_ =
        std::make_unique<stack::Engine>(config, *tap_, nullptr, gate::Recovery(), random_, nullptr, monotonic_now());
    shard_ = std::make_unique<Shard>(*engine_, *tap_, *ring_);
  }

  const std::array<std::byte, 64> random_{};
  std::unique_ptr<location::Ring> ring_;
  std::unique_ptr<link::Tap> tap_;
  std::unique_ptr<stack::Engine> engine_;
  std::unique_ptr<Shard> shard_;
};

struct Ended : stack::ClientHandler {
  void finished(tcp::CloseReason reason) override { how = reason; }
  std::optional<tcp::CloseReason> how;
};

// The owner's next move may be all that there is to wait for.
TEST_F(Loop, WhatATurnToldIsKnownBeforeTheNextOneSleeps) {
  Ended handler;
  const auto stream = engine_->connect(*wire::Endpoint::parse("10.77.0.1:9000"), handler, monotonic_now());
  ASSERT_TRUE(stream) << stream.error().message;
  const Time until = monotonic_now() + std::chrono::seconds(10);  // where it does sleep, it need not be for ever
  for (int turns = 0; turns < 3; ++turns) shard_->turn(monotonic_now());
  engine_->abort(*stream, monotonic_now());
  const auto sleeps = shard_->counters().sleeps;
  shard_->turn(until);
  EXPECT_EQ(handler.how, tcp::CloseReason::kAborted);
  EXPECT_EQ(shard_->counters().sleeps, sleeps);
}

TEST_F(Loop, WhatIsFilteredTheEngineDoesNotSee) {
  unsigned asked = 0;
  bool passes = false;
  shard_->set_filter([&](const wire::RxFrame& frame) {
    EXPECT_GE(frame.head.size(), 14U);
    ++asked;
    return passes;
  });
  run("ip address add 10.77.0.1/24 dev shard0");
  const auto ask = [&](const std::string& whom) {
    run("bash -c 'echo > /dev/udp/" + whom + "/9'");  // an ARP request at least
    for (int turns = 0; turns < 5; ++turns) shard_->turn(monotonic_now());
  };
  ask("10.77.0.2");
  EXPECT_GT(asked, 0U);
  EXPECT_EQ(shard_->counters().filtered, asked);
  EXPECT_EQ(engine_->ip_counters().frames_in, 0U);
  passes = true;
  ask("10.77.0.3");
  EXPECT_GT(engine_->ip_counters().frames_in, 0U);
}

}  // namespace
}  // namespace holdfast::shard
