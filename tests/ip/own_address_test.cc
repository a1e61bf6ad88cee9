// ARP for us: answers, announcements, defence. All of it leaves as an assertion.
#include "ip/own_address.h"

#include <gtest/gtest.h>

#include "ip/harness.h"

namespace holdfast::ip {
namespace {

using namespace testing;

const wire::ArpPacket kAnnouncement{wire::ArpOperation::kRequest, kOurMac, kUs, {}, kUs};
constexpr MacAddress kThief{{2, 0, 0, 0, 0, 0x66}};

TEST(OwnAddress, ARequestIsAnsweredAsAnAssertion) {
  World world;
  world.receive(from_hex(wire::testing::kArpRequestFrame));
  ASSERT_EQ(world.host.assertions.size(), 1U);
  EXPECT_EQ(world.host.assertions[0], from_hex(wire::testing::kArpReplyFrame));
  EXPECT_TRUE(world.link.sent.empty());
}

TEST(OwnAddress, NothingIsAnsweredBeforeItIsAnnounced) {
  World world(default_config(), false);
  world.receive(from_hex(wire::testing::kArpRequestFrame));
  world.receive(from_hex(wire::testing::kEchoRequestFrame));
  world.receive(from_hex(wire::testing::kUdpFrame));
  world.receive(arp_request(kUs, kThief, kUs));
  EXPECT_TRUE(world.host.assertions.empty());
  EXPECT_TRUE(world.link.sent.empty());
}

TEST(OwnAddress, ItIsAnnouncedTwiceTwoSecondsApart) {
  World world(default_config(), false);
  EXPECT_EQ(world.ip.deadline(), kNever);
  world.ip.announce(world.now);
  ASSERT_EQ(world.host.assertions.size(), 1U);
  EXPECT_EQ(world.ip.deadline(), world.now + 2s);
  world.advance(2s - 1ns);
  EXPECT_EQ(world.host.assertions.size(), 1U);
  world.advance(1ns);
  ASSERT_EQ(world.host.assertions.size(), 2U);
  world.advance(1h);
  ASSERT_EQ(world.host.assertions.size(), 2U);
  for (const Buffer& frame : world.host.assertions) {
    EXPECT_EQ(arp_of(frame), kAnnouncement);
    EXPECT_EQ(wire::parse_ethernet(frame)->destination, wire::kBroadcastMac);
  }
  EXPECT_TRUE(world.link.sent.empty());
}

TEST(OwnAddress, AnothersToAnswerForIsLeftToIt) {
  Config config = default_config();
  config.announces = false;
  World world(config, false);
  world.ip.announce(world.now);
  world.advance(3s);
  world.receive(arp_request(kPeer, kPeerMac, kUs));
  world.receive(arp_request(kUs, kThief, kUs));
  EXPECT_TRUE(world.host.assertions.empty());
  // Neighbours are looked for all the same.
  world.send_tcp(kPeer);
  EXPECT_EQ(world.link.sent.size() + world.host.assertions.size(), 1U);
}

TEST(OwnAddress, AProbeIsAnswered) {  // RFC 5227 section 2.1.1
  World world;
  world.receive(arp_request(Ipv4Address{}, kThief, kUs));
  ASSERT_EQ(world.host.assertions.size(), 1U);
  EXPECT_EQ(arp_of(world.host.assertions[0]), (wire::ArpPacket{wire::ArpOperation::kReply, kOurMac, kUs, kThief, {}}));
  EXPECT_EQ(world.counters().arp_conflicts, 0U);
}

TEST(OwnAddress, RequestsForOthersAreNotAnswered) {
  World world;
  world.receive(arp_request(kPeer, kPeerMac, kGateway));
  EXPECT_TRUE(world.host.assertions.empty());
  EXPECT_EQ(world.counters().dropped_not_for_us, 1U);
}

TEST(OwnAddress, AConflictIsDefendedOnceInTenSeconds) {  // RFC 5227 section 2.4
  World world;
  for (int i = 0; i < 5; ++i) world.receive(arp_request(kUs, kThief, kUs));
  world.receive(arp_reply(kUs, kThief));
  EXPECT_EQ(world.counters().arp_conflicts, 6U);
  ASSERT_EQ(world.host.assertions.size(), 1U);
  EXPECT_EQ(arp_of(world.host.assertions[0]), kAnnouncement);
  world.advance(10s - 1ns);
  world.receive(arp_reply(kUs, kThief));
  EXPECT_EQ(world.host.assertions.size(), 1U);
  world.advance(1ns);
  world.receive(arp_reply(kUs, kThief));
  EXPECT_EQ(world.host.assertions.size(), 2U);
  EXPECT_TRUE(world.link.sent.empty());
}

TEST(OwnAddress, OurOwnEchoIsNoConflict) {
  World world;
  world.receive(arp_frame(kAnnouncement, wire::kBroadcastMac));
  EXPECT_EQ(world.counters().arp_conflicts, 0U);
  EXPECT_TRUE(world.host.assertions.empty());
}

TEST(OwnAddress, AThiefIsNotTakenForANeighbour) {
  World world;
  world.receive(arp_request(kUs, kThief, kUs));
  world.host.assertions.clear();
  world.send_tcp(kUs);
  EXPECT_TRUE(world.link.sent.empty());
  EXPECT_EQ(world.counters().dropped_no_route, 1U);
}

TEST(OwnAddress, RepliesAreBoundedInRate) {
  World world;
  for (int i = 0; i < 5000; ++i) world.receive(from_hex(wire::testing::kArpRequestFrame));
  EXPECT_EQ(world.host.assertions.size(), OwnAddress::kRepliesPerSecond / 10U);
  EXPECT_EQ(world.counters().dropped_rate_limited, 5000U - OwnAddress::kRepliesPerSecond / 10U);
  world.advance(1s);
  world.receive(from_hex(wire::testing::kArpRequestFrame));
  EXPECT_EQ(world.host.assertions.size(), OwnAddress::kRepliesPerSecond / 10U + 1);
}

}  // namespace
}  // namespace holdfast::ip
