#include <gtest/gtest.h>

#include "ip/harness.h"

namespace holdfast::ip {
namespace {

using namespace testing;

// What the link makes of the offload request.
Buffer finished(const RecordingLink::Sent& sent) {
  Buffer frame = sent.bytes;
  const Bytes covered = Bytes(frame).subspan(sent.checksum_start);
  const std::uint16_t checksum = wire::internet_checksum(covered);
  store_be16(frame.data() + sent.checksum_start + sent.checksum_offset, checksum);
  return frame;
}

TEST(Send, ASegmentGetsItsHeaders) {
  World world;
  world.meet_peer();
  world.send_tcp(kPeer, pattern(777));
  ASSERT_EQ(world.link.sent.size(), 1U);
  const auto& sent = world.link.sent[0];
  EXPECT_EQ(*wire::parse_ethernet(sent.bytes), (wire::EthernetHeader{kPeerMac, kOurMac, wire::kEtherTypeIpv4}));
  const wire::Ipv4Header header = ipv4_of(sent.bytes);
  EXPECT_EQ(header.source, kUs);
  EXPECT_EQ(header.destination, kPeer);
  EXPECT_EQ(header.protocol, wire::kProtocolTcp);
  EXPECT_EQ(header.ttl, 64);
  EXPECT_TRUE(header.dont_fragment);
  EXPECT_EQ(header.total_length, 20 + 20 + 777);
  EXPECT_EQ(exactly(Bytes(sent.bytes).subspan(54)), pattern(777));
}

TEST(Send, TheLinkFinishesTheChecksum) {
  World world;
  world.meet_peer();
  for (const std::size_t size : {0U, 1U, 2U, 777U, 1460U}) {
    world.send_tcp(kPeer, pattern(size));
    const auto& sent = world.link.sent.back();
    ASSERT_TRUE(sent.needs_checksum);
    EXPECT_EQ(sent.checksum_start, 34);
    EXPECT_EQ(sent.checksum_offset, 16);
    const Buffer frame = finished(sent);
    const Bytes segment = Bytes(frame).subspan(34);
    EXPECT_EQ(wire::ones_complement_sum(segment, wire::pseudo_header_sum(kUs, kPeer, wire::kProtocolTcp,
                                                                         static_cast<std::uint32_t>(segment.size()))),
              0xffff);
  }
}

// One Ip's output, finished, is another one's input.
TEST(Send, WhatIsSentIsReceived) {
  World us;
  us.meet_peer();
  Config config = default_config();
  config.mac = kPeerMac;
  config.address.address = kPeer;
  World peer(config);
  for (const std::size_t size : {0U, 1U, 1460U, 65000U}) {
    us.send_tcp(kPeer, pattern(size), 1448);
    peer.receive(finished(us.link.sent.back()), 54);
    ASSERT_FALSE(peer.host.segments.empty());
    EXPECT_EQ(exactly(Bytes(peer.host.segments.back().bytes).subspan(20)), pattern(size));
  }
}

TEST(Send, WhatIsFarAwayGoesToTheGateway) {
  World world;
  world.send_tcp(kFarAway);
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_EQ(arp_of(world.link.sent[0].bytes).target, kGateway);
  world.receive(arp_reply(kGateway, kGatewayMac));
  ASSERT_EQ(world.link.sent.size(), 2U);
  EXPECT_EQ(wire::parse_ethernet(world.link.sent[1].bytes)->destination, kGatewayMac);
  EXPECT_EQ(ipv4_of(world.link.sent[1].bytes).destination, kFarAway);
}

TEST(Send, WithoutAGatewayWhatIsFarAwayIsDroppedAndCounted) {
  Config config = default_config();
  config.gateway.reset();
  World world(config);
  world.send_tcp(kFarAway);
  EXPECT_TRUE(world.link.sent.empty());
  EXPECT_EQ(world.counters().dropped_no_route, 1U);
}

TEST(Send, AGatewayOutsideTheLinksPrefixWorks) {
  Config config = default_config();
  config.address.length = 32;
  config.gateway = Ipv4Address{0xc0a80001};
  World world(config);
  world.send_tcp(kPeer);
  world.receive(arp_reply(*config.gateway, kGatewayMac));
  ASSERT_EQ(world.link.sent.size(), 2U);
  EXPECT_EQ(wire::parse_ethernet(world.link.sent[1].bytes)->destination, kGatewayMac);
}

TEST(Send, NothingGoesToWhatIsNoHost) {
  World world;
  for (const std::uint32_t to : {0U, 0x7f000001U, 0xe0000001U, 0xffffffffU, 0x0a4d00ffU, 0x0a4d0000U, kUs.value}) {
    world.send_tcp(Ipv4Address{to});
  }
  EXPECT_TRUE(world.link.sent.empty());
  EXPECT_EQ(world.counters().dropped_no_route, 7U);
}

TEST(Send, BothHostsOfALinkOfTwoAreHosts) {  // RFC 3021
  Config config = default_config();
  config.address = {Ipv4Address{0x0a4d0002}, 31};
  World world(config);
  world.send_tcp(Ipv4Address{0x0a4d0003});
  world.receive(arp_reply(Ipv4Address{0x0a4d0003}, kPeerMac));
  EXPECT_EQ(world.link.sent.size(), 2U);
  wire::Ipv4Header header = from_peer(wire::kProtocolTcp);
  header.source = Ipv4Address{0x0a4d0003};
  world.receive(ip_frame(header, tcp_segment({}, header.source)));
  EXPECT_EQ(world.host.segments.size(), 1U);
}

TEST(Send, TheIdentificationLeavesRoomForTheSegmentsThatTheLinkCuts) {
  World world;
  world.meet_peer();
  world.send_tcp(kPeer, pattern(100));
  world.send_tcp(kPeer, pattern(1448 * 10), 1448);
  world.send_tcp(kPeer, pattern(1448 * 9 + 1), 1448);
  world.send_tcp(kPeer, pattern(100));
  std::vector<std::uint16_t> ids;
  for (const auto& sent : world.link.sent) ids.push_back(ipv4_of(sent.bytes).id);
  EXPECT_EQ(static_cast<std::uint16_t>(ids[1] - ids[0]), 1);
  EXPECT_EQ(static_cast<std::uint16_t>(ids[2] - ids[1]), 10);
  EXPECT_EQ(static_cast<std::uint16_t>(ids[3] - ids[2]), 10);
}

TEST(Send, TheSeedChoosesTheFirstIdentification) {
  Config config = default_config();
  config.seed = 0x99990000;
  World world(config);
  world.meet_peer();
  world.send_tcp(kPeer);
  EXPECT_EQ(ipv4_of(world.link.sent[0].bytes).id, 0x9999);
}

TEST(Send, FramesAndBytesAreCounted) {
  World world;
  world.meet_peer();
  const Counters before = world.counters();
  world.send_tcp(kPeer, pattern(46));
  EXPECT_EQ(world.counters().frames_out - before.frames_out, 1U);
  EXPECT_EQ(world.counters().bytes_out - before.bytes_out, 100U);
}

}  // namespace
}  // namespace holdfast::ip
