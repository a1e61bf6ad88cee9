#include "cluster/forwarder.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cluster/frames.h"

namespace holdfast::cluster {
namespace {

using namespace test;

class ForwarderTest : public ::testing::Test, private wire::FrameSink {
 protected:
  bool pass_on(const wire::RxFrame& received) {
    return Forwarder(kOwnMac, kService, kOtherMac).pass_on(received, *this);
  }

  Frame sent_;
  wire::TxFrame how_;

 private:
  void transmit(const wire::TxFrame& frame) override {
    how_ = frame;
    sent_.assign(frame.head.begin(), frame.head.end());
    sent_.insert(sent_.end(), frame.payload[0].begin(), frame.payload[0].end());
  }
};

TEST_F(ForwarderTest, AFrameGoesOnAsItCameOneHopFurther) {
  Frame frame = frame_of({.ttl = 9});
  const Frame before = frame;
  ASSERT_TRUE(pass_on(whole(frame)));
  const auto ethernet = wire::parse_ethernet(sent_);
  EXPECT_EQ(ethernet->destination, kOtherMac);
  EXPECT_EQ(ethernet->source, kOwnMac);
  const Bytes datagram = Bytes(sent_).subspan(wire::kEthernetHeader);
  const auto ip = wire::parse_ipv4(datagram, datagram.size());  // its checksum holds
  ASSERT_TRUE(ip);
  EXPECT_EQ(ip->ttl, 8);
  const auto tcp = Bytes(before).subspan(wire::kEthernetHeader + wire::kIpv4MinHeader);
  EXPECT_TRUE(std::ranges::equal(datagram.subspan(wire::kIpv4MinHeader), tcp));
  EXPECT_FALSE(how_.needs_checksum);
}

TEST_F(ForwarderTest, AFrameDoesNotGoRoundForEver) {
  Frame frame = frame_of({.ttl = 1});
  EXPECT_FALSE(pass_on(whole(frame)));
  EXPECT_TRUE(sent_.empty());
}

TEST_F(ForwarderTest, WhatWasNotForTheAddressIsDropped) {
  Frame elsewhere = frame_of({.to = kRouterMac});
  EXPECT_FALSE(pass_on(whole(elsewhere)));
  Frame other = frame_of({.tuple = {{kNode, wire::Port{7000}}, {kPeer, wire::Port{40000}}}});
  EXPECT_FALSE(pass_on(whole(other)));
}

TEST_F(ForwarderTest, AChecksumThatWasLeftToBeDoneIsLeftToBeDone) {
  Frame frame = frame_of({.payload = 100});
  wire::RxFrame received = whole(frame);
  received.checksum_trusted = true;
  ASSERT_TRUE(pass_on(received));
  EXPECT_TRUE(how_.needs_checksum);
  EXPECT_EQ(how_.checksum_start, wire::kEthernetHeader + wire::kIpv4MinHeader);
}

TEST_F(ForwarderTest, HeadersThatAreCutOffAreDropped) {
  for (std::size_t length = 0; length < wire::kEthernetHeader + wire::kIpv4MinHeader; ++length) {
    Frame frame = frame_of({});
    frame.resize(length);
    EXPECT_FALSE(pass_on(whole(frame))) << length;
  }
}

}  // namespace
}  // namespace holdfast::cluster
