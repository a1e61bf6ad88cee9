// Frames in: who may send to us, what reaches TCP, and that the split between the two pieces does not matter.
#include <gtest/gtest.h>

#include "ip/harness.h"

namespace holdfast::ip {
namespace {

using namespace testing;

std::uint64_t malformed(const World& world, wire::ParseError error) {
  return world.counters().malformed[static_cast<std::size_t>(error)];
}

TEST(Receive, ACapturedSegmentReachesTcp) {
  World world;
  world.receive(from_hex(wire::testing::kDataFrame));
  ASSERT_EQ(world.host.segments.size(), 1U);
  const Buffer frame = from_hex(wire::testing::kDataFrame);
  EXPECT_EQ(world.host.segments[0].bytes, exactly(Bytes(frame).subspan(34)));
  EXPECT_EQ(world.host.segments[0].source, kPeer);
  EXPECT_TRUE(world.host.segments[0].checksum_trusted);
}

TEST(Receive, NothingIsCopiedWhenTheHeadersLieInTheFirstPiece) {
  World world;
  const Buffer frame = ip_frame(from_peer(wire::kProtocolTcp), tcp_segment(pattern(1000)));
  world.receive(frame, 66);
  ASSERT_EQ(world.host.segments.size(), 1U);
  EXPECT_EQ(world.host.last_head, world.head.data() + 34);
  EXPECT_EQ(world.host.last_body, world.body.data());
}

TEST(Receive, TheSplitBetweenThePiecesDoesNotMatter) {
  const std::vector<Buffer> frames = {
      from_hex(wire::testing::kSynFrame),
      from_hex(wire::testing::kDataFrame) + Buffer(7),  // with padding
      from_hex(wire::testing::kEchoRequestFrame),
      from_hex(wire::testing::kUdpFrame),
      from_hex(wire::testing::kArpRequestFrame) + Buffer(18),
      ip_frame(from_peer(wire::kProtocolTcp), tcp_segment(pattern(333), kPeer, false)),
      ip_frame(from_peer(99), pattern(30)),
  };
  for (const Buffer& frame : frames) {
    World whole;
    whole.meet_peer();
    whole.receive(frame);
    for (std::size_t split = 0; split <= frame.size(); ++split) {
      World world;
      world.meet_peer();
      world.receive(frame, split);
      ASSERT_EQ(world.host.segments, whole.host.segments) << split;
      ASSERT_EQ(world.host.assertions, whole.host.assertions) << split;
      ASSERT_EQ(world.link.sent.size(), whole.link.sent.size()) << split;
      if (!world.link.sent.empty()) {
        ASSERT_EQ(world.link.sent[0].bytes, whole.link.sent[0].bytes) << split;
      }
      // RFC 9293's header, as far as it exists, lies in the first piece.
      if (!world.host.segments.empty()) {
        const auto& segment = world.host.segments[0];
        ASSERT_GE(segment.in_head, std::min(segment.bytes.size(), wire::parse_tcp(segment.bytes)->header_length));
      }
    }
  }
}

TEST(Receive, EthernetPaddingIsCutOff) {
  World world;
  const Buffer segment = tcp_segment(pattern(1), kPeer, false);
  const Buffer frame = ip_frame(from_peer(wire::kProtocolTcp), segment) + Buffer(100, std::byte{0xee});
  for (const std::size_t split : {frame.size(), std::size_t{54}, std::size_t{55}, std::size_t{60}}) {
    world.receive(frame, split);
    EXPECT_EQ(world.host.segments.back().bytes, segment);
  }
}

TEST(Receive, ASuperSegmentOf64KiBPasses) {
  World world;
  const Buffer segment = tcp_segment(pattern(65515 - 32));
  const Buffer frame = ip_frame(from_peer(wire::kProtocolTcp), segment);
  ASSERT_EQ(frame.size(), 14U + 65535);
  for (const std::size_t split : {0U, 20U, 50U, 66U, 128U, 40000U}) {
    world.receive(frame, split, false, 1448);
    ASSERT_EQ(world.host.segments.back().bytes, segment);
    EXPECT_EQ(world.host.segments.back().gso_size, 1448);
  }
}

TEST(Receive, AFrameLargerThanAnyDatagramIsRead) {
  World world;
  const Buffer frame = ip_frame(from_peer(wire::kProtocolTcp), tcp_segment(pattern(10))) + Buffer(70000);
  for (const std::size_t split : {0U, 30U, 60U, 100U, 69000U}) {
    world.receive(frame, split);
    EXPECT_EQ(world.host.segments.back().bytes.size(), 42U);
  }
}

TEST(Receive, ABadTcpChecksumIsDroppedAndCounted) {
  World world;
  Buffer frame = ip_frame(from_peer(wire::kProtocolTcp), tcp_segment(pattern(100)));
  frame.back() ^= std::byte{1};
  for (const std::size_t split : {60U, 66U, 99U, 200U}) world.receive(frame, split);
  EXPECT_TRUE(world.host.segments.empty());
  EXPECT_EQ(malformed(world, wire::ParseError::kBadChecksum), 4U);
  EXPECT_EQ(world.counters().dropped_malformed, 4U);
}

TEST(Receive, ATrustedChecksumIsNotLookedAt) {
  World world;
  Buffer frame = ip_frame(from_peer(wire::kProtocolTcp), tcp_segment(pattern(100)));
  frame.back() ^= std::byte{1};
  world.receive(frame, 66, true);
  EXPECT_EQ(world.host.segments.size(), 1U);
}

TEST(Receive, ABadIpHeaderChecksumIsDroppedEvenWhereTheTransportsIsTrusted) {
  World world;
  Buffer frame = ip_frame(from_peer(wire::kProtocolTcp), tcp_segment(pattern(100)));
  frame[22] ^= std::byte{1};  // TTL
  world.receive(frame, 66, true);
  EXPECT_TRUE(world.host.segments.empty());
  EXPECT_EQ(malformed(world, wire::ParseError::kBadChecksum), 1U);
}

TEST(Receive, IpOptionsAreSkipped) {
  World world;
  const Buffer segment = tcp_segment(pattern(50));
  Buffer frame = ip_frame(from_peer(wire::kProtocolTcp), segment);
  const Buffer options = from_hex("9404 0000");  // router alert
  frame.insert(frame.begin() + 34, options.begin(), options.end());
  frame[14] = std::byte{0x46};
  store_be16(frame.data() + 16, static_cast<std::uint16_t>(frame.size() - 14));
  store_be16(frame.data() + 24, 0);
  store_be16(frame.data() + 24, wire::internet_checksum(Bytes(frame).subspan(14, 24)));
  for (std::size_t split = 0; split < frame.size(); ++split) {
    world.receive(frame, split);
    ASSERT_EQ(world.host.segments.back().bytes, segment) << split;
  }
}

TEST(Receive, EcnBitsReachTcp) {
  World world;
  for (std::uint8_t ecn = 0; ecn < 4; ++ecn) {
    wire::Ipv4Header header = from_peer(wire::kProtocolTcp);
    header.ecn = ecn;
    world.receive(ip_frame(header, tcp_segment({})));
    EXPECT_EQ(world.host.segments.back().ecn, ecn);
  }
}

TEST(Receive, OtherDestinationsAreNotOurs) {
  World world;
  for (const Ipv4Address destination : {Ipv4Address{0x0a4d0003}, Ipv4Address{0x0a4d00ff}, Ipv4Address{0xffffffff},
                                        Ipv4Address{0xe0000001}, Ipv4Address{0}}) {
    wire::Ipv4Header header = from_peer(wire::kProtocolTcp);
    header.destination = destination;
    world.receive(ip_frame(header, tcp_segment({})));
  }
  const Buffer segment = tcp_segment({});
  world.receive(ip_frame(from_peer(wire::kProtocolTcp), segment, kPeerMac, wire::kBroadcastMac));
  world.receive(ip_frame(from_peer(wire::kProtocolTcp), segment, kPeerMac, kGatewayMac));
  world.receive(ip_frame(from_peer(wire::kProtocolTcp), segment, kPeerMac, {{0x01, 0, 0x5e, 0, 0, 1}}));
  EXPECT_TRUE(world.host.segments.empty());
  EXPECT_EQ(world.counters().dropped_not_for_us, 8U);
}

// RFC 1122 section 3.2.1.3.
TEST(Receive, SourcesThatNoHostCanHaveAreDropped) {
  World world;
  int sent = 0;
  for (const std::uint32_t source : {0x00000000U, 0x00010203U, 0x7f000001U, 0xe0000001U, 0xf0000001U, 0xffffffffU,
                                     0x0a4d00ffU, 0x0a4d0000U, kUs.value}) {
    wire::Ipv4Header header = from_peer(wire::kProtocolTcp);
    header.source = Ipv4Address{source};
    world.receive(ip_frame(header, tcp_segment({}, header.source)));
    ++sent;
  }
  EXPECT_TRUE(world.host.segments.empty());
  EXPECT_EQ(malformed(world, wire::ParseError::kBadAddress), static_cast<std::uint64_t>(sent));
}

TEST(Receive, SourcesBehindTheGatewayAreFine) {
  World world;
  wire::Ipv4Header header = from_peer(wire::kProtocolTcp);
  header.source = kFarAway;
  world.receive(ip_frame(header, tcp_segment({}, kFarAway), kGatewayMac));
  ASSERT_EQ(world.host.segments.size(), 1U);
  EXPECT_EQ(world.host.segments[0].source, kFarAway);
}

TEST(Receive, ASegmentTooShortForAHeaderIsDropped) {
  World world;
  for (std::size_t size = 0; size < 20; ++size) world.receive(ip_frame(from_peer(wire::kProtocolTcp), Buffer(size)));
  EXPECT_TRUE(world.host.segments.empty());
  EXPECT_EQ(malformed(world, wire::ParseError::kTruncated), 20U);
}

TEST(Receive, TruncatedFramesReachNobody) {
  World world;
  for (const auto hex : {wire::testing::kDataFrame, wire::testing::kArpRequestFrame, wire::testing::kUdpFrame,
                         wire::testing::kEchoRequestFrame, wire::testing::kPortUnreachableFrame}) {
    const Buffer frame = from_hex(hex);
    for (std::size_t size = 0; size < frame.size(); ++size) world.receive(Bytes(frame).first(size), size / 2);
  }
  EXPECT_TRUE(world.host.segments.empty());
  EXPECT_TRUE(world.host.assertions.empty());
  EXPECT_TRUE(world.host.errors.empty());
  EXPECT_TRUE(world.link.sent.empty());
}

TEST(Receive, SegmentsReachTcpBeforeTheAddressIsAnnounced) {
  World world(default_config(), false);
  world.receive(from_hex(wire::testing::kSynFrame));
  EXPECT_EQ(world.host.segments.size(), 1U);
}

TEST(Receive, FramesAndBytesAreCounted) {
  World world;
  world.receive(from_hex(wire::testing::kSynFrame), 20);
  world.receive(Buffer(5));
  EXPECT_EQ(world.counters().frames_in, 2U);
  EXPECT_EQ(world.counters().bytes_in, 74U + 5);
}

TEST(Receive, OtherEtherTypesAreUnsupported) {
  World world;
  Buffer frame = from_hex(wire::testing::kSynFrame);
  store_be16(frame.data() + 12, 0x86dd);
  world.receive(frame);
  EXPECT_EQ(world.counters().dropped_unsupported, 1U);
}

// The receive path has one scratch buffer: a link that delivers from inside transmit would overwrite what is being
// read.
TEST(ReceiveDeathTest, ALinkMayNotDeliverFromInsideTransmit) {
  struct LoopingLink : wire::FrameSink {
    void transmit(const wire::TxFrame&) override {
      Buffer frame = from_hex(wire::testing::kSynFrame);
      ip->on_frame({.head = frame, .body = {}}, Time{0s});
    }
    Ip* ip = nullptr;
  };
  RecordingHost host;
  LoopingLink link;
  Ip ip(host, link, default_config());
  link.ip = &ip;
  Buffer meet = from_hex(wire::testing::kArpRequestFrame);
  ip.on_frame({.head = meet, .body = {}}, Time{0s});
  ip.announce(Time{0s});
  Buffer echo = from_hex(wire::testing::kEchoRequestFrame);
  EXPECT_DEATH(ip.on_frame({.head = echo, .body = {}}, Time{0s}), "receiving");
}

}  // namespace
}  // namespace holdfast::ip
