#include "cluster/bucket.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "cluster/frames.h"
#include "wire/icmp.h"

namespace holdfast::cluster {
namespace {

using namespace test;
using Kind = Classified::Kind;

Buckets some_buckets(std::uint32_t count, std::byte seed = std::byte{7}) {
  Buckets buckets{.count = count, .key = {}};
  buckets.key.key.fill(seed);
  return buckets;
}

wire::FourTuple tuple(unsigned peer, unsigned port) {
  return {{kService, wire::Port{7000}},
          {wire::Ipv4Address{kPeer.value + peer}, wire::Port{static_cast<std::uint16_t>(port)}}};
}

Classified classified(const Buckets& buckets, const Frame& frame) {
  const Bytes datagram = Bytes(frame).subspan(wire::kEthernetHeader);
  return classify(buckets, kService, datagram, datagram.size());
}

TEST(Bucket, ConnectionsSpreadEvenly) {
  const auto buckets = some_buckets(12);
  std::vector<int> found(12);
  for (unsigned port = 0; port < 12'000; ++port) ++found[bucket_of(buckets, tuple(port % 3, 32768 + port))];
  const auto [least, most] = std::ranges::minmax(found);
  EXPECT_GT(least, 850);
  EXPECT_LT(most, 1150);
}

TEST(Bucket, TheKeyDecides) {
  const auto one = some_buckets(256), other = some_buckets(256, std::byte{8});
  int same = 0;
  for (unsigned port = 1; port <= 1000; ++port)
    same += bucket_of(one, tuple(0, port)) == bucket_of(other, tuple(0, port));
  EXPECT_LT(same, 30);
}

TEST(Bucket, GroupNamesAreLogNames) { EXPECT_EQ(bucket_group("store", 7), "store.b007"); }

TEST(Bucket, SegmentsAndErrorsAboutOurAnswersAgree) {
  const auto buckets = some_buckets(200);
  for (unsigned port = 1; port < 500; ++port) {
    const Segment segment{.tuple = tuple(1, port)};
    const auto forth = classified(buckets, frame_of(segment));
    ASSERT_EQ(forth.kind, Kind::kTcp);
    EXPECT_EQ(forth.bucket, bucket_of(buckets, segment.tuple));

    // A router's error, which quotes what we have sent.
    const Segment sent{.tuple = {segment.tuple.peer, segment.tuple.local}, .ttl = 1};
    const Frame quoted = frame_of(sent);
    Frame error(wire::kEthernetHeader + 20 + wire::kIcmpHeader + 28);
    const MutableBytes datagram = MutableBytes(error).subspan(wire::kEthernetHeader);
    wire::emit_ethernet({kOwnMac, kRouterMac, wire::kEtherTypeIpv4}, error);
    wire::emit_ipv4({.total_length = static_cast<std::uint16_t>(datagram.size()),
                     .protocol = wire::kProtocolIcmp,
                     .source = wire::Ipv4Address{0x0a000001},
                     .destination = kService},
                    datagram);
    wire::emit_icmp({.type = wire::kIcmpDestinationUnreachable,
                     .code = wire::kIcmpFragmentationNeeded,
                     .rest = 1400,
                     .payload = Bytes(quoted).subspan(wire::kEthernetHeader, 28)},
                    datagram.subspan(20));
    const auto back = classified(buckets, error);
    ASSERT_EQ(back.kind, Kind::kIcmpError);
    EXPECT_EQ(back.bucket, forth.bucket);
  }
}

TEST(Bucket, FragmentsAreNobodys) {
  EXPECT_EQ(classified(some_buckets(4), frame_of({.more_fragments = true, .payload = 12})).kind, Kind::kFragment);
}

TEST(Bucket, StrangersAreStrays) {
  Segment segment;
  segment.tuple.local.address = kNode;
  EXPECT_EQ(classified(some_buckets(4), frame_of(segment)).kind, Kind::kStray);
  Frame broken = frame_of({});
  broken[wire::kEthernetHeader + 8] ^= std::byte{1};  // the header's checksum does not hold
  EXPECT_EQ(classified(some_buckets(4), broken).kind, Kind::kStray);
  for (std::size_t length = 0; length < 24; ++length) {
    const Frame whole_frame = frame_of({});
    EXPECT_EQ(
        classify(some_buckets(4), kService, Bytes(whole_frame).subspan(wire::kEthernetHeader, length), length).kind,
        Kind::kStray)
        << length;
  }
}

TEST(Bucket, AWorkerTellsItsOwn) {
  const auto buckets = some_buckets(16);
  Frame frame = frame_of({});
  const Bucket its = bucket_of(buckets, Segment{}.tuple);
  for (Bucket bucket = 0; bucket < 16; ++bucket) {
    EXPECT_EQ(belongs(buckets, kService, bucket, whole(frame)), bucket == its);
    // However the link has split it.
    for (std::size_t split = 0; split < frame.size(); ++split) {
      wire::RxFrame parts;
      parts.head = MutableBytes(frame).first(split);
      parts.body = MutableBytes(frame).subspan(split);
      EXPECT_EQ(belongs(buckets, kService, bucket, parts), bucket == its) << split;
    }
  }
  wire::emit_ethernet({kOwnMac, kRouterMac, wire::kEtherTypeArp}, frame);
  EXPECT_TRUE(belongs(buckets, kService, its + 1, whole(frame)));
}

}  // namespace
}  // namespace holdfast::cluster
