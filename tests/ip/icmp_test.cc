#include <gtest/gtest.h>

#include "ip/harness.h"

namespace holdfast::ip {
namespace {

using namespace testing;

Buffer echo_frame(std::size_t size) {
  return ip_frame(from_peer(wire::kProtocolIcmp), icmp_message(wire::kIcmpEchoRequest, 0, 0x12340001, pattern(size)));
}

// The start of a segment that we sent to `destination`, as a router quotes it.
Buffer quote(Ipv4Address destination, Ipv4Address source = kUs, std::uint8_t protocol = wire::kProtocolTcp,
             std::uint16_t fragment_offset = 0) {
  Buffer quoted(28);
  wire::emit_ipv4({.total_length = 1500,
                   .fragment_offset = fragment_offset,
                   .protocol = protocol,
                   .source = source,
                   .destination = destination},
                  quoted);
  store_be16(quoted.data() + 20, 7);
  store_be16(quoted.data() + 22, 40000);
  store_be32(quoted.data() + 24, 0xdeadbeef);
  return quoted;
}

Buffer error_frame(std::uint8_t type, std::uint8_t code, std::uint32_t rest, Bytes quoted) {
  wire::Ipv4Header header = from_peer(wire::kProtocolIcmp);
  header.source = kGateway;
  return ip_frame(header, icmp_message(type, code, rest, quoted), kGatewayMac);
}

TEST(Icmp, ACapturedEchoIsAnsweredAsLinuxDoes) {
  World world;
  world.meet_peer();
  world.receive(from_hex(wire::testing::kEchoRequestFrame));
  ASSERT_EQ(world.link.sent.size(), 1U);
  const Buffer linux_reply = from_hex(wire::testing::kEchoReplyFrame);
  const Buffer& reply = world.link.sent[0].bytes;
  EXPECT_EQ(exactly(Bytes(reply).first(14)), exactly(Bytes(linux_reply).first(14)));
  EXPECT_EQ(exactly(Bytes(reply).subspan(34)), exactly(Bytes(linux_reply).subspan(34)));
  EXPECT_EQ(ipv4_of(reply).destination, kPeer);
  EXPECT_EQ(world.counters().icmp_echo, 1U);
  EXPECT_TRUE(world.host.assertions.empty());
}

TEST(Icmp, TheChecksumOfEveryEchoReplyHolds) {
  World world;
  world.meet_peer();
  Random random(5);
  for (int round = 0; round < 300; ++round) {
    const Buffer data = random.bytes(random.below(1400));
    const Buffer request = icmp_message(wire::kIcmpEchoRequest, static_cast<std::uint8_t>(random.below(2)),
                                        random.any<std::uint32_t>(), data);
    world.receive(ip_frame(from_peer(wire::kProtocolIcmp), request), random.below(1500));
    ASSERT_EQ(world.link.sent.size(), 1U);
    const auto reply = wire::parse_icmp(Bytes(world.link.sent[0].bytes).subspan(34));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->type, wire::kIcmpEchoReply);
    EXPECT_EQ(exactly(reply->payload), data);
    world.link.sent.clear();
    world.advance(10ms);
  }
}

TEST(Icmp, AnEchoFromAfarIsAnsweredThroughTheGateway) {
  World world;
  world.receive(arp_request(kGateway, kGatewayMac, kUs));
  wire::Ipv4Header header = from_peer(wire::kProtocolIcmp);
  header.source = kFarAway;
  world.receive(ip_frame(header, icmp_message(wire::kIcmpEchoRequest, 0, 1, pattern(8)), kGatewayMac));
  ASSERT_EQ(world.link.sent.size(), 1U);
  EXPECT_EQ(wire::parse_ethernet(world.link.sent[0].bytes)->destination, kGatewayMac);
  EXPECT_EQ(ipv4_of(world.link.sent[0].bytes).destination, kFarAway);
}

TEST(Icmp, EchoesAreBoundedInRateAndSize) {
  World world;
  world.meet_peer();
  for (int i = 0; i < 2000; ++i) world.receive(echo_frame(8));
  EXPECT_EQ(world.link.sent.size(), 100U);
  EXPECT_EQ(world.counters().dropped_rate_limited, 1900U);
  world.advance(1s);
  world.link.sent.clear();
  world.receive(echo_frame(1500 - 28));
  EXPECT_EQ(world.link.sent.size(), 1U);
  world.receive(echo_frame(1500 - 27));
  EXPECT_EQ(world.link.sent.size(), 1U);
}

TEST(Icmp, ABadChecksumIsDroppedEvenWhereTheLinkTrustsIt) {
  World world;
  world.meet_peer();
  Buffer frame = echo_frame(8);
  frame.back() ^= std::byte{1};
  world.receive(frame, frame.size(), true);
  EXPECT_TRUE(world.link.sent.empty());
  EXPECT_EQ(world.counters().dropped_malformed, 1U);
}

TEST(Icmp, AnUnreachablePortIsToldAsAnAssertionThatQuotesTheDatagram) {
  World world;
  world.receive(from_hex(wire::testing::kUdpFrame));
  ASSERT_EQ(world.host.assertions.size(), 1U);
  EXPECT_TRUE(world.link.sent.empty());
  const Buffer& frame = world.host.assertions[0];
  EXPECT_EQ(wire::parse_ethernet(frame)->destination, kPeerMac);
  EXPECT_EQ(ipv4_of(frame).destination, kPeer);
  // The same message as Linux's, byte for byte.
  const Buffer linux_frame = from_hex(wire::testing::kPortUnreachableFrame);
  EXPECT_EQ(exactly(Bytes(frame).subspan(34)), exactly(Bytes(linux_frame).subspan(34)));
  EXPECT_EQ(world.counters().icmp_errors_out, 1U);
}

TEST(Icmp, AnErrorIsNeverLongerThan576Bytes) {
  World world;
  world.receive(ip_frame(from_peer(wire::kProtocolUdp), udp_datagram(pattern(1400))), 200);
  ASSERT_EQ(world.host.assertions.size(), 1U);
  EXPECT_EQ(ipv4_of(world.host.assertions[0]).total_length, 576);
  const auto message = wire::parse_icmp(Bytes(world.host.assertions[0]).subspan(34));
  ASSERT_TRUE(message);
  EXPECT_EQ(wire::parse_icmp_quote(*message)->header.total_length, 1428);
}

TEST(Icmp, AnUnknownProtocolIsTold) {
  World world;
  world.receive(ip_frame(from_peer(132), pattern(40)), 40);
  ASSERT_EQ(world.host.assertions.size(), 1U);
  const auto message = wire::parse_icmp(Bytes(world.host.assertions[0]).subspan(34));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, wire::kIcmpDestinationUnreachable);
  EXPECT_EQ(message->code, wire::kIcmpProtocolUnreachable);
  EXPECT_EQ(exactly(wire::parse_icmp_quote(*message)->transport), pattern(40));
}

TEST(Icmp, NoErrorAnswersABadUdpDatagramOrABroadcast) {
  World world;
  Buffer bad = ip_frame(from_peer(wire::kProtocolUdp), udp_datagram(pattern(20)));
  bad.back() ^= std::byte{1};
  world.receive(bad);
  wire::Ipv4Header header = from_peer(wire::kProtocolUdp);
  header.destination = Ipv4Address{0x0a4d00ff};
  world.receive(ip_frame(header, udp_datagram({})));
  world.receive(ip_frame(from_peer(wire::kProtocolUdp), udp_datagram({}), kPeerMac, wire::kBroadcastMac));
  EXPECT_TRUE(world.host.assertions.empty());
}

TEST(Icmp, AUdpDatagramWithoutAChecksumIsFine) {
  World world;
  Buffer datagram = udp_datagram(pattern(20));
  store_be16(datagram.data() + 6, 0);
  world.receive(ip_frame(from_peer(wire::kProtocolUdp), datagram));
  EXPECT_EQ(world.host.assertions.size(), 1U);
}

TEST(Icmp, ErrorsAreBoundedInRate) {
  World world;
  for (int i = 0; i < 1000; ++i) world.receive(from_hex(wire::testing::kUdpFrame));
  EXPECT_EQ(world.host.assertions.size(), 50U);
  EXPECT_EQ(world.counters().dropped_rate_limited, 950U);
}

TEST(Icmp, AnErrorAboutOurSegmentReachesTcp) {
  World world;
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{3, 11, 12}) {
    world.host.errors.clear();
    world.receive(error_frame(type, 1, 777, quote(kFarAway)));
    ASSERT_EQ(world.host.errors.size(), 1U);
    const IcmpError& error = world.host.errors[0];
    EXPECT_EQ(error.type, type);
    EXPECT_EQ(error.code, 1);
    EXPECT_EQ(error.tuple.local, (wire::Endpoint{kUs, wire::Port{7}}));
    EXPECT_EQ(error.tuple.peer, (wire::Endpoint{kFarAway, wire::Port{40000}}));
    EXPECT_EQ(error.seq, wire::SeqNum{0xdeadbeef});
    EXPECT_EQ(error.next_hop_mtu, 0);  // means something else in these
  }
  EXPECT_EQ(world.counters().icmp_errors_in, 3U);
  EXPECT_TRUE(world.host.assertions.empty());
}

TEST(Icmp, AnErrorAboutWhatWeDidNotSendReachesNobody) {
  World world;
  world.receive(error_frame(3, 1, 0, quote(kFarAway, kPeer)));                          // another source
  world.receive(error_frame(3, 1, 0, quote(kFarAway, kUs, wire::kProtocolUdp)));        // another protocol
  world.receive(error_frame(3, 1, 0, quote(kFarAway, kUs, wire::kProtocolTcp, 1480)));  // no ports in it
  world.receive(error_frame(3, 1, 0, quote(Ipv4Address{0xe0000001})));
  world.receive(error_frame(3, 4, 600, quote(kFarAway, kPeer)));
  world.receive(error_frame(3, 1, 0, Bytes(quote(kFarAway)).first(27)));  // too short
  world.receive(error_frame(5, 1, kGateway.value, quote(kFarAway)));      // a redirect
  world.receive(error_frame(4, 0, 0, quote(kFarAway)));                   // source quench
  EXPECT_TRUE(world.host.errors.empty());
  EXPECT_TRUE(world.host.assertions.empty());
  EXPECT_EQ(world.ip.path_mtu(kFarAway, world.now), 1500);
}

TEST(Icmp, FragmentationNeededLowersThePathMtuBeforeTcpHears) {
  World world;
  world.receive(error_frame(3, 4, 1400, quote(kFarAway)));
  ASSERT_EQ(world.host.errors.size(), 1U);
  EXPECT_EQ(world.host.errors[0].next_hop_mtu, 1400);
  EXPECT_EQ(world.ip.path_mtu(kFarAway, world.now), 1400);
  EXPECT_EQ(world.ip.path_mtu(kPeer, world.now), 1500);
  world.advance(10min);
  EXPECT_EQ(world.ip.path_mtu(kFarAway, world.now), 1500);
}

TEST(Icmp, OnlyFragmentationNeededLowersThePathMtu) {
  World world;
  world.receive(error_frame(3, 1, 600, quote(kFarAway)));
  world.receive(error_frame(11, 4, 600, quote(kFarAway)));
  EXPECT_EQ(world.ip.path_mtu(kFarAway, world.now), 1500);
}

TEST(Icmp, HostUnreachableQuotesThePeersSegment) {
  World world;
  const wire::FourTuple tuple{{kUs, wire::Port{7000}}, {kPeer, wire::Port{40000}}};
  world.ip.send_host_unreachable(tuple, wire::SeqNum{0xfffffff0});  // a neighbour that is not known
  EXPECT_TRUE(world.link.sent.empty());
  world.meet_peer();
  world.ip.send_host_unreachable(tuple, wire::SeqNum{0xfffffff0});
  ASSERT_EQ(world.link.sent.size(), 1U);
  const Buffer& frame = world.link.sent[0].bytes;
  EXPECT_EQ(ipv4_of(frame).destination, kPeer);
  const auto message = wire::parse_icmp(Bytes(frame).subspan(34));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, 3);
  EXPECT_EQ(message->code, 1);
  const auto quoted = wire::parse_icmp_quote(*message);
  ASSERT_TRUE(quoted);
  EXPECT_EQ(quoted->header.source, kPeer);
  EXPECT_EQ(quoted->header.destination, kUs);
  EXPECT_EQ(quoted->header.protocol, wire::kProtocolTcp);
  EXPECT_EQ(load_be16(quoted->transport.data()), 40000);
  EXPECT_EQ(load_be16(quoted->transport.data() + 2), 7000);
  EXPECT_EQ(load_be32(quoted->transport.data() + 4), 0xfffffff0U);
  EXPECT_EQ(world.counters().icmp_errors_out, 1U);
}

}  // namespace
}  // namespace holdfast::ip
