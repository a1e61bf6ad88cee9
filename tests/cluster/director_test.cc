#include "cluster/director.h"

#include <gtest/gtest.h>

#include <vector>

#include "cluster/frames.h"

namespace holdfast::cluster {
namespace {

using namespace test;
using Verdict = Director::Verdict;

class DirectorTest : public ::testing::Test {
 protected:
  static Director::Config config() {
    return {.mac = kOwnMac, .service = kService, .node = kNode, .buckets = {.count = 8, .key = {}}};
  }
  Bucket its() const { return bucket_of(config().buckets, Segment{}.tuple); }

  Director director_{config()};
};

Frame arp_frame(const wire::ArpPacket& packet, const wire::MacAddress& to) {
  Frame frame(wire::kEthernetHeader + wire::kArpPacket);
  wire::emit_ethernet({to, packet.sender_mac, wire::kEtherTypeArp}, frame);
  wire::emit_arp(packet, MutableBytes(frame).subspan(wire::kEthernetHeader));
  return frame;
}

TEST_F(DirectorTest, OurBucketIsOurWorkers) {
  director_.here(its());
  Frame frame = frame_of({});
  const Frame before = frame;
  const auto decision = director_.decide(whole(frame));
  EXPECT_EQ(decision.verdict, Verdict::kWorker);
  EXPECT_EQ(decision.bucket, its());
  EXPECT_EQ(frame, before);
}

TEST_F(DirectorTest, NobodysIsDropped) {
  Frame frame = frame_of({});
  EXPECT_EQ(director_.decide(whole(frame)).verdict, Verdict::kDrop);
  EXPECT_EQ(director_.counters().dropped_nobodys, 1U);
}

TEST_F(DirectorTest, AnothersIsPassedOnWithOneHopLess) {
  director_.there(its(), kOtherMac);
  Frame frame = frame_of({.ttl = 9});
  const auto decision = director_.decide(whole(frame));
  ASSERT_EQ(decision.verdict, Verdict::kTransmit);
  EXPECT_EQ(decision.out.size(), frame.size());
  EXPECT_FALSE(decision.out.needs_checksum);
  const auto ethernet = wire::parse_ethernet(frame);
  EXPECT_EQ(ethernet->destination, kOtherMac);
  EXPECT_EQ(ethernet->source, kOwnMac);
  const Bytes datagram = Bytes(frame).subspan(wire::kEthernetHeader);
  const auto ip = wire::parse_ipv4(datagram, datagram.size());  // its checksum holds
  ASSERT_TRUE(ip);
  EXPECT_EQ(ip->ttl, 8);
}

TEST_F(DirectorTest, ASuperSegmentIsPassedOnAsOne) {
  director_.there(its(), kOtherMac);
  Frame frame = frame_of({.payload = 20'000});
  auto received = whole(frame);
  received.gso_size = 1448;
  received.checksum_trusted = true;
  const auto decision = director_.decide(received);
  ASSERT_EQ(decision.verdict, Verdict::kTransmit);
  EXPECT_EQ(decision.out.gso_size, 1448);
  EXPECT_TRUE(decision.out.needs_checksum);
  EXPECT_EQ(decision.out.head.size(), wire::kEthernetHeader + 40);
  EXPECT_EQ(decision.out.payload[0].size(), 20'000U);
}

TEST_F(DirectorTest, NothingIsPassedOnTwice) {
  director_.there(its(), kOtherMac);
  director_.set_members({kRouterMac, kOtherMac});
  Frame frame = frame_of({.from = kOtherMac});
  EXPECT_EQ(director_.decide(whole(frame)).verdict, Verdict::kDrop);
  Frame last_hop = frame_of({.from = wire::MacAddress{{2, 0, 0, 0, 9, 9}}, .ttl = 1});
  EXPECT_EQ(director_.decide(whole(last_hop)).verdict, Verdict::kDrop);
  EXPECT_EQ(director_.counters().dropped_again, 2U);
  director_.here(its());
  Frame ours = frame_of({.from = kOtherMac, .ttl = 1});
  EXPECT_EQ(director_.decide(whole(ours)).verdict, Verdict::kWorker);
}

TEST_F(DirectorTest, FragmentsAndStraysAreDropped) {
  Frame fragment = frame_of({.more_fragments = true, .payload = 12});
  EXPECT_EQ(director_.decide(whole(fragment)).verdict, Verdict::kDrop);
  EXPECT_EQ(director_.counters().dropped_fragments, 1U);
  Frame stray = frame_of({.to = kOtherMac});
  EXPECT_EQ(director_.decide(whole(stray)).verdict, Verdict::kDrop);
  Frame broadcast = frame_of({.to = wire::kBroadcastMac});
  EXPECT_EQ(director_.decide(whole(broadcast)).verdict, Verdict::kDrop);
  for (std::size_t length = 0; length < wire::kEthernetHeader + 20; ++length) {
    Frame cut = frame_of({});
    cut.resize(length);
    EXPECT_EQ(director_.decide(whole(cut)).verdict, Verdict::kDrop) << length;
  }
  EXPECT_EQ(director_.counters().dropped_strays, 2 + wire::kEthernetHeader + 20);
}

TEST_F(DirectorTest, TheNodesOwnAddressIsAnsweredFor) {
  Frame frame = arp_frame({.operation = wire::ArpOperation::kRequest,
                           .sender_mac = kRouterMac,
                           .sender = kPeer,
                           .target_mac = {},
                           .target = kNode},
                          wire::kBroadcastMac);
  const auto decision = director_.decide(whole(frame));
  ASSERT_EQ(decision.verdict, Verdict::kTransmit);
  EXPECT_EQ(wire::parse_ethernet(decision.out.head)->destination, kRouterMac);
  const auto reply = wire::parse_arp(Bytes(decision.out.head).subspan(wire::kEthernetHeader));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->operation, wire::ArpOperation::kReply);
  EXPECT_EQ(reply->sender, kNode);
  EXPECT_EQ(reply->sender_mac, kOwnMac);
  EXPECT_EQ(reply->target, kPeer);
}

TEST_F(DirectorTest, AnswersToWorkersReachThemAll) {
  Frame frame = arp_frame({.operation = wire::ArpOperation::kReply,
                           .sender_mac = kRouterMac,
                           .sender = kPeer,
                           .target_mac = kOwnMac,
                           .target = kNode},
                          kOwnMac);
  EXPECT_EQ(director_.decide(whole(frame)).verdict, Verdict::kAllWorkers);
}

}  // namespace
}  // namespace holdfast::cluster
