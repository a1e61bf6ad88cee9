// ARP for others: learning, asking, waiting, ageing.
#include "ip/neighbours.h"

#include <gtest/gtest.h>

#include "ip/harness.h"

namespace holdfast::ip {
namespace {

using namespace testing;

std::size_t requests(const World& world) {
  return static_cast<std::size_t>(
      std::count_if(world.link.sent.begin(), world.link.sent.end(), [](auto& s) { return is_arp(s.bytes); }));
}

MacAddress destination(const RecordingLink::Sent& sent) { return wire::parse_ethernet(sent.bytes)->destination; }

Buffer a_segment(MacAddress from) { return ip_frame(from_peer(wire::kProtocolTcp), tcp_segment(pattern(10)), from); }

TEST(Neighbours, AnUnknownOneIsAskedForAndTheSegmentWaits) {
  World world;
  world.send_tcp(kPeer, pattern(100));
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_EQ(arp_of(world.link.sent[0].bytes), (wire::ArpPacket{wire::ArpOperation::kRequest, kOurMac, kUs, {}, kPeer}));
  EXPECT_EQ(destination(world.link.sent[0]), wire::kBroadcastMac);
  world.receive(arp_reply(kPeer, kPeerMac));
  ASSERT_EQ(world.link.sent.size(), 2U);
  const auto& sent = world.link.sent[1];
  EXPECT_EQ(destination(sent), kPeerMac);
  EXPECT_EQ(ipv4_of(sent.bytes).destination, kPeer);
  EXPECT_EQ(exactly(Bytes(sent.bytes).subspan(54)), pattern(100));
  EXPECT_EQ(sent.head_size, 54U);
  EXPECT_TRUE(sent.needs_checksum);
  EXPECT_TRUE(world.host.assertions.empty());
}

TEST(Neighbours, ASuperSegmentWaitsWhole) {
  World world;
  const Buffer payload = pattern(65000);
  world.send_tcp(kPeer, payload, 1448);
  world.receive(arp_reply(kPeer, kPeerMac));
  ASSERT_EQ(world.link.sent.size(), 2U);
  EXPECT_EQ(exactly(Bytes(world.link.sent[1].bytes).subspan(54)), payload);
  EXPECT_EQ(world.link.sent[1].gso_size, 1448);
}

TEST(Neighbours, TheNewestSixteenWait) {
  World world;
  for (unsigned i = 0; i < 20; ++i) world.send_tcp(kPeer, pattern(10, i));
  EXPECT_EQ(world.counters().dropped_unresolved, 4U);
  world.receive(arp_reply(kPeer, kPeerMac));
  ASSERT_EQ(world.link.sent.size(), 17U);
  for (unsigned i = 0; i < 16; ++i) {
    EXPECT_EQ(exactly(Bytes(world.link.sent[1 + i].bytes).subspan(54)), pattern(10, i + 4));
  }
}

TEST(Neighbours, WaitingFramesShareABoundedPool) {
  World world;
  const Buffer payload = pattern(60000);
  for (int i = 0; i < 16; ++i) world.send_tcp(kPeer, payload, 1448);
  EXPECT_EQ(world.counters().dropped_unresolved, 8U);  // 30 of 256 blocks each
  world.receive(arp_reply(kPeer, kPeerMac));
  EXPECT_EQ(world.link.sent.size(), 1U + 8);
}

TEST(Neighbours, OneThatNeverAnswersIsAskedThreeTimesASecondApart) {
  World world;
  world.send_tcp(kPeer);
  EXPECT_EQ(world.ip.deadline(), world.now + 1s);
  world.advance(999ms);
  EXPECT_EQ(requests(world), 1U);
  world.advance(1ms);
  EXPECT_EQ(requests(world), 2U);
  world.advance(1s);
  EXPECT_EQ(requests(world), 3U);
  EXPECT_EQ(world.counters().dropped_unresolved, 0U);
  world.advance(1s);
  EXPECT_EQ(world.counters().dropped_unresolved, 1U);
  EXPECT_EQ(requests(world), 3U);
  EXPECT_EQ(world.ip.deadline(), kNever);
}

// Who asks says who it is: the neighbour takes the asker's address from the request.
TEST(Neighbours, ARequestLeavesOnceAWriteThatBeganAfterItWasDueIsStored) {
  World world;
  world.stands_still = true;
  world.send_tcp(kPeer);
  EXPECT_TRUE(world.host.clearance_asked);
  EXPECT_TRUE(world.link.sent.empty());
  world.send_tcp(kGateway);  // that write has begun already
  world.stands_still = false;
  world.store();
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_EQ(arp_of(world.link.sent[0].bytes).target, kPeer);
  world.advance(Neighbours::kClearanceInterval);
  ASSERT_EQ(world.link.sent.size(), 2U);
  EXPECT_EQ(arp_of(world.link.sent[1].bytes).target, kGateway);
}

TEST(Neighbours, WhatStorageKeepsFromAskingCountsAsNotAsked) {
  World world;
  world.meet_peer();
  world.advance(Neighbours::kReachableTime);
  world.stands_still = true;
  world.send_tcp(kGateway);
  for (int i = 0; i < 100; ++i) {
    world.advance(1s);
    world.link.sent.clear();
    world.send_tcp(kPeer);
    ASSERT_EQ(world.link.sent.size(), 1U) << "who was known is known";
    EXPECT_EQ(destination(world.link.sent[0]), kPeerMac);
  }
  EXPECT_EQ(world.counters().dropped_unresolved, 0U);
  world.stands_still = false;
  world.link.sent.clear();
  world.store();
  world.store();
  EXPECT_EQ(requests(world), 2U);
  world.receive(arp_reply(kGateway, kGatewayMac));
  EXPECT_EQ(destination(world.link.sent.back()), kGatewayMac) << "what waited";
}

TEST(Neighbours, AFloodFromMadeUpAddressesAsksForFewWrites) {
  Config config = default_config();
  config.address.length = 16;
  World world(config);
  int writes = 0;
  world.stands_still = true;
  const auto write = [&] {
    if (!world.host.clearance_asked) return;
    ++writes;
    world.stands_still = false;
    world.store();
    world.stands_still = true;
  };
  for (std::uint32_t i = 0; i < 10000; ++i) {
    world.send_tcp(Ipv4Address{0x0a4d1000 + i});
    world.advance(10us);
    write();
  }
  EXPECT_LE(writes, 11);
  EXPECT_GE(writes, 9);
}

TEST(Neighbours, AFailedOneIsNotAskedAgainAtOnce) {
  World world;
  world.send_tcp(kPeer);
  world.advance(3s);
  world.link.sent.clear();
  world.send_tcp(kPeer);
  EXPECT_TRUE(world.link.sent.empty());
  EXPECT_EQ(world.counters().dropped_unresolved, 2U);
  world.advance(Neighbours::kHoldDown);
  world.send_tcp(kPeer);
  EXPECT_EQ(requests(world), 1U);
  world.receive(arp_reply(kPeer, kPeerMac));
  EXPECT_EQ(world.link.sent.size(), 2U);
}

TEST(Neighbours, AFailedOneThatSpeaksIsKnown) {
  World world;
  world.send_tcp(kPeer);
  world.advance(3s);
  world.receive(arp_reply(kPeer, kPeerMac));
  world.link.sent.clear();
  world.send_tcp(kPeer);
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_EQ(destination(world.link.sent[0]), kPeerMac);
}

// After a restart the answer to our question lies behind all that was sent meanwhile.
TEST(Neighbours, ADatagramIsAHintWhileTheAnswerIsAwaited) {
  World world;
  world.send_tcp(kPeer, pattern(10));
  world.link.sent.clear();
  world.receive(a_segment(kPeerMac));
  world.advance(Neighbours::kClearanceInterval);
  ASSERT_EQ(world.link.sent.size(), 2U);
  EXPECT_EQ(destination(world.link.sent[0]), kPeerMac) << "what waited";
  EXPECT_EQ(destination(world.link.sent[1]), kPeerMac) << "and a question to confirm it, to that one alone";
  EXPECT_TRUE(is_arp(world.link.sent[1].bytes));
  world.link.sent.clear();
  world.send_tcp(kPeer);
  EXPECT_EQ(world.link.sent.size(), 1U);
  world.receive(arp_reply(kPeer, kGatewayMac));
  world.link.sent.clear();
  world.send_tcp(kPeer);
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_EQ(destination(world.link.sent[0]), kGatewayMac) << "an answer counts for more";
}

TEST(Neighbours, WhatAnotherHostPassedOnIsNoHint) {
  Config config = default_config();
  config.relayed = true;
  World world(config);
  world.send_tcp(kPeer);
  world.link.sent.clear();
  world.receive(a_segment(kGatewayMac));
  EXPECT_TRUE(world.link.sent.empty());
}

TEST(Neighbours, TheyAreAskedAsWhoWeAreToldTo) {
  Config config = default_config();
  config.asks_as = Ipv4Address{0x0a4d0065};
  World world(config);
  world.send_tcp(kPeer);
  const Buffer request = world.link.sent.empty() ? world.host.assertions.at(0) : world.link.sent[0].bytes;
  EXPECT_EQ(arp_of(request).sender, *config.asks_as);
  world.link.sent.clear();
  world.receive(arp_frame({wire::ArpOperation::kReply, kPeerMac, kPeer, kOurMac, *config.asks_as}, kOurMac));
  ASSERT_EQ(world.link.sent.size(), 1U) << "the answer is for us, and what waited leaves";
  EXPECT_EQ(destination(world.link.sent[0]), kPeerMac);
}

TEST(Neighbours, AHintThatIsNeverConfirmedIsForgotten) {
  World world;
  world.send_tcp(kPeer);
  world.receive(a_segment(kPeerMac));
  for (int i = 0; i <= Neighbours::kRequests; ++i) world.advance(Neighbours::kRequestInterval);
  world.link.sent.clear();
  world.send_tcp(kPeer);
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_TRUE(is_arp(world.link.sent[0].bytes));
}

TEST(Neighbours, NobodyIsLearntFromADatagramAlone) {
  World world;
  world.receive(a_segment(kPeerMac));
  world.send_tcp(kPeer);
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_TRUE(is_arp(world.link.sent[0].bytes));
  world.receive(arp_reply(kPeer, kPeerMac));
  world.receive(a_segment(kGatewayMac));
  world.link.sent.clear();
  world.send_tcp(kPeer);
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_EQ(destination(world.link.sent[0]), kPeerMac) << "who is known stays known";
}

TEST(Neighbours, OnesThatAreNotSettledAreAskedFor) {
  World world;
  EXPECT_FALSE(world.ip.settled(kPeer, world.now));
  world.store();
  EXPECT_EQ(requests(world), 1U);
  EXPECT_FALSE(world.ip.settled(kPeer, world.now));
  EXPECT_EQ(requests(world), 1U);
  world.receive(arp_reply(kPeer, kPeerMac));
  EXPECT_TRUE(world.ip.settled(kPeer, world.now));
}

TEST(Neighbours, OneThatNeverAnswersIsSettledToo) {
  World world;
  EXPECT_FALSE(world.ip.settled(kPeer, world.now));
  world.store();
  for (int i = 0; i < Neighbours::kRequests; ++i) world.advance(Neighbours::kRequestInterval);
  EXPECT_TRUE(world.ip.settled(kPeer, world.now));
}

TEST(Neighbours, WhoAsksForUsIsLearnt) {
  World world;
  world.receive(arp_request(kPeer, kPeerMac, kUs));
  world.send_tcp(kPeer);
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_EQ(destination(world.link.sent[0]), kPeerMac);
}

TEST(Neighbours, NobodyIsLearntFromWhatIsNotForUs) {
  World world;
  world.receive(arp_request(kPeer, kPeerMac, kGateway));
  world.receive(arp_request(kPeer, kPeerMac, kPeer));  // an announcement
  world.receive(arp_reply(kPeer, kPeerMac));           // that nobody asked for
  world.send_tcp(kPeer);
  EXPECT_EQ(requests(world), 1U);
  EXPECT_EQ(world.link.sent.size(), 1U);
}

TEST(Neighbours, AnAnnouncementMovesOneThatIsKnown) {
  World world;
  world.meet_peer();
  const MacAddress moved{{2, 0, 0, 0, 0, 0x77}};
  world.receive(arp_request(kPeer, moved, kPeer));
  world.send_tcp(kPeer);
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_EQ(destination(world.link.sent[0]), moved);
}

TEST(Neighbours, MacsThatNoNeighbourCanHaveAreIgnored) {
  for (const MacAddress& mac : {kOurMac, MacAddress{}, wire::kBroadcastMac}) {
    World world;
    world.receive(arp_request(kPeer, mac, kUs));
    world.send_tcp(kPeer);
    EXPECT_EQ(requests(world), 1U) << mac.to_string();
  }
}

TEST(Neighbours, AddressesOffTheLinkAreIgnored) {
  for (const Ipv4Address address : {kFarAway, Ipv4Address{0x0a4d00ff}, Ipv4Address{0x0a4d0000}}) {
    World world;
    RecordingHost host;
    Counters counters;
    Config config = default_config();
    Output output(host, world.link, counters);
    Neighbours neighbours(output, config, counters);
    neighbours.learn(address, kPeerMac, true, world.now);
    EXPECT_EQ(neighbours.size(), 0U) << address.to_string();
  }
}

TEST(Neighbours, AnOldOneIsAskedByUnicastAndUsedMeanwhile) {
  World world;
  world.meet_peer();
  world.advance(Neighbours::kReachableTime - 1ns);
  world.send_tcp(kPeer);
  EXPECT_EQ(requests(world), 0U);
  world.advance(1ns);
  world.link.sent.clear();
  world.send_tcp(kPeer);
  ASSERT_EQ(world.link.sent.size(), 2U);
  EXPECT_EQ(destination(world.link.sent[0]), kPeerMac);
  EXPECT_TRUE(is_arp(world.link.sent[1].bytes));
  EXPECT_EQ(destination(world.link.sent[1]), kPeerMac);
  world.receive(arp_reply(kPeer, kPeerMac));
  world.link.sent.clear();
  world.advance(10s);
  world.send_tcp(kPeer);
  EXPECT_EQ(world.link.sent.size(), 1U);
}

TEST(Neighbours, AnOldOneThatDoesNotAnswerIsForgotten) {
  World world;
  world.meet_peer();
  world.advance(Neighbours::kReachableTime);
  world.send_tcp(kPeer);
  world.advance(3s);
  EXPECT_EQ(requests(world), 3U);
  world.link.sent.clear();
  world.send_tcp(kPeer);
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_EQ(destination(world.link.sent[0]), wire::kBroadcastMac);
}

TEST(Neighbours, NoneIsAskedBeforeTheAddressIsAnnounced) {
  World world(default_config(), false);
  world.send_tcp(kPeer);
  world.send_tcp(kFarAway);
  EXPECT_TRUE(world.link.sent.empty());
  EXPECT_EQ(world.ip.deadline(), kNever);
  world.ip.announce(world.now);
  EXPECT_EQ(requests(world), 0U);
  world.store();
  EXPECT_EQ(requests(world), 1U);
  world.advance(Neighbours::kClearanceInterval);
  EXPECT_EQ(requests(world), 2U);
  world.receive(arp_reply(kPeer, kPeerMac));
  EXPECT_EQ(world.link.sent.size(), 3U);
}

TEST(Neighbours, OneKnownBeforeTheAddressIsAnnouncedCanBeSentTo) {
  World world(default_config(), false);
  world.meet_peer();
  world.send_tcp(kPeer);
  EXPECT_EQ(world.link.sent.size(), 1U);
}

TEST(Neighbours, TheTableIsBoundedAndKeepsWhoIsTalkedTo) {
  Config config = default_config();
  config.address.length = 16;
  World world(config);
  world.meet_peer();
  for (std::uint32_t i = 0; i < 3000; ++i) {
    world.receive(arp_request(Ipv4Address{0x0a4d1000 + i}, {{2, 0, 0, 1, 0, 1}}, kUs));
    if (i % 500 == 0) world.send_tcp(kPeer);
  }
  world.link.sent.clear();
  world.send_tcp(kPeer);
  EXPECT_EQ(requests(world), 0U);
  world.send_tcp(Ipv4Address{0x0a4d1000});
  EXPECT_EQ(requests(world), 1U);
}

// More peers than places, as after a restart with very many connections: asking for all of them would go round in
// circles, each pushed out before its answer comes.
TEST(Neighbours, AFullTableAsksForNobodyElseAndForgetsNobody) {
  Config config = default_config();
  config.address.length = 16;
  World world(config);
  for (std::uint32_t i = 0; i < Neighbours::kEntries; ++i) {
    EXPECT_FALSE(world.ip.settled(Ipv4Address{0x0a4d1000 + i}, world.now));
  }
  world.store();
  world.advance(Neighbours::kClearanceInterval);
  EXPECT_EQ(requests(world), Neighbours::kEntries);
  EXPECT_TRUE(world.ip.settled(kPeer, world.now));
  EXPECT_EQ(requests(world), Neighbours::kEntries);
  for (std::uint32_t i = 0; i < Neighbours::kEntries; ++i) {
    EXPECT_FALSE(world.ip.settled(Ipv4Address{0x0a4d1000 + i}, world.now)) << "is still awaited";
  }
  EXPECT_EQ(requests(world), Neighbours::kEntries);
}

TEST(Neighbours, FramesOfOneThatIsPushedOutAreCounted) {
  Config config = default_config();
  config.address.length = 16;
  World world(config);
  world.send_tcp(kPeer);
  for (std::uint32_t i = 0; i < Neighbours::kEntries; ++i) {
    world.receive(arp_request(Ipv4Address{0x0a4d1000 + i}, {{2, 0, 0, 1, 0, 1}}, kUs));
  }
  EXPECT_EQ(world.counters().dropped_unresolved, 1U);
}

}  // namespace
}  // namespace holdfast::ip
