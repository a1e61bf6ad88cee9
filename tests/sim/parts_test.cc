// The simulator's own parts, where a mistake would make it blind.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/coverage.h"
#include "sim/event_queue.h"
#include "sim/packet.h"
#include "sim/stream_content.h"

namespace holdfast::sim {
namespace {

TEST(EventQueue, EventsOfOneMomentKeepTheirOrder) {
  EventQueue queue;
  std::vector<int> order;
  const Time now = queue.now();
  queue.at(now + Duration(2), [&] { order.push_back(3); });
  queue.at(now + Duration(1), [&] { order.push_back(1); });
  queue.at(now + Duration(1), [&] { order.push_back(2); });
  while (queue.run_next()) {
  }
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST(StreamContent, OneWrongByteIsFoundWhereItIs) {
  const StreamContent content{99};
  std::vector<std::byte> bytes(1000);
  content.fill(12345, bytes);
  EXPECT_EQ(content.matching(12345, bytes), bytes.size());
  EXPECT_EQ(content.at(12345 + 777), bytes[777]);
  bytes[777] ^= std::byte{1};
  EXPECT_EQ(content.matching(12345, bytes), 777U);
  EXPECT_LT(content.matching(12346, bytes), 10U);
}

TEST(Coverage, RangesThatTouchBecomeOne) {
  Coverage coverage;
  coverage.add(10, 20);
  coverage.add(30, 40);
  EXPECT_EQ(coverage.contiguous_from(10), 20U);
  EXPECT_FALSE(coverage.contains(10, 40));
  EXPECT_TRUE(coverage.strictly_inside(35));
  EXPECT_FALSE(coverage.strictly_inside(30));
  EXPECT_FALSE(coverage.strictly_inside(40));
  coverage.add(20, 30);
  EXPECT_TRUE(coverage.contains(10, 40));
  EXPECT_EQ(coverage.contiguous_from(15), 40U);
  EXPECT_EQ(coverage.contiguous_from(41), 41U);
}

Packet super_segment(std::size_t payload, std::uint16_t gso_size) {
  wire::TcpHeader header;
  header.source = wire::Port{1000};
  header.destination = wire::Port{2000};
  header.seq = wire::SeqNum(0xfffffff0);
  header.flags.ack = header.flags.psh = header.flags.fin = true;
  std::vector<std::byte> bytes(payload);
  StreamContent{5}.fill(0, bytes);
  Packet packet = make_tcp({{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}, {0x0a000001}, {0x0a000002}, header, bytes);
  packet.gso_size = gso_size;
  return packet;
}

TEST(Packet, ASuperSegmentIsCutIntoOrdinaryFrames) {
  const std::vector<Packet> frames = cut(super_segment(3500, 1000));
  ASSERT_EQ(frames.size(), 4U);
  std::uint64_t at = 0;
  for (const Packet& frame : frames) {
    const auto view = view_tcp(frame);  // checks the checksum
    ASSERT_TRUE(view);
    EXPECT_EQ(view->tcp.seq, wire::SeqNum(0xfffffff0) + static_cast<std::uint32_t>(at));
    const bool last = &frame == &frames.back();
    EXPECT_EQ(view->tcp.flags.fin, last);
    EXPECT_EQ(view->tcp.flags.psh, last);
    const Bytes payload = Bytes(frame.bytes).subspan(view->payload_at, view->payload_size);
    EXPECT_EQ(StreamContent{5}.matching(at, payload), payload.size());
    at += payload.size();
  }
  EXPECT_EQ(at, 3500U);
}

TEST(Packet, FragmentsFitAndHoldTheWholeDatagram) {
  const Packet whole = super_segment(1400, 0);
  const std::vector<Packet> fragments = fragment(whole, 600);
  ASSERT_EQ(fragments.size(), 3U);
  std::vector<std::byte> joined(whole.bytes.begin(), whole.bytes.begin() + 34);
  for (const Packet& part : fragments) {
    EXPECT_LE(part.bytes.size(), 14U + 600U);
    joined.insert(joined.end(), part.bytes.begin() + 34, part.bytes.end());
  }
  EXPECT_TRUE(std::equal(joined.begin() + 34, joined.end(), whole.bytes.begin() + 34, whole.bytes.end()));
}

TEST(Packet, AFlippedBitIsNoSegment) {
  Packet packet = super_segment(100, 0);
  ASSERT_TRUE(view_tcp(packet));
  for (std::size_t at = 14; at < packet.bytes.size(); ++at) {
    packet.bytes[at] ^= std::byte{4};
    EXPECT_FALSE(view_tcp(packet)) << at;
    packet.bytes[at] ^= std::byte{4};
  }
}

}  // namespace
}  // namespace holdfast::sim
