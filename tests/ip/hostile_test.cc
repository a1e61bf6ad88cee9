// Frames that nobody meant: random, truncated, mutated. Nothing is read outside them (run under a sanitizer), what
// reaches TCP is sound, bounds hold, and time moves on.
#include <gtest/gtest.h>

#include "ip/harness.h"

namespace holdfast::ip {
namespace {

using namespace testing;

std::vector<Buffer> seeds() {
  std::vector<Buffer> frames;
  for (const auto hex :
       {wire::testing::kArpRequestFrame, wire::testing::kSynFrame, wire::testing::kDataFrame, wire::testing::kUdpFrame,
        wire::testing::kEchoRequestFrame, wire::testing::kLastFragmentFrame}) {
    frames.push_back(from_hex(hex));
  }
  frames.push_back(arp_reply(kPeer, kPeerMac));
  frames.push_back(ip_frame(from_peer(wire::kProtocolTcp), tcp_segment(pattern(600))));
  for (Buffer& frame : fragments(from_peer(wire::kProtocolTcp), tcp_segment(pattern(600)), 200))
    frames.push_back(frame);
  return frames;
}

// Repairs the checksums so that a mutation gets past them.
void repair(Buffer& frame) {
  if (frame.size() < 34) return;
  const std::size_t header = wire::ipv4_header_length(Bytes(frame).subspan(14));
  if (header < 20 || frame.size() < 14 + header) return;
  store_be16(frame.data() + 24, 0);
  store_be16(frame.data() + 24, wire::internet_checksum(Bytes(frame).subspan(14, header)));
}

void expect_sound(World& world) {
  for (const auto& segment : world.host.segments) {
    EXPECT_GE(segment.bytes.size(), wire::kTcpMinHeader);
    EXPECT_TRUE(segment.source.is_unicast_host());
    EXPECT_GE(segment.in_head, wire::kTcpMinHeader);
  }
  for (const auto& error : world.host.errors) EXPECT_EQ(error.tuple.local.address, kUs);
  for (const Buffer& frame : world.host.assertions) EXPECT_EQ(wire::parse_ethernet(frame)->source, kOurMac);
  world.host.segments.clear();
  world.host.errors.clear();
  world.host.assertions.clear();
  world.link.sent.clear();
}

TEST(HostileFrames, RandomBytesReachNobody) {
  World world;
  Random random(50);
  for (int round = 0; round < 20000; ++round) {
    const Buffer frame = random.bytes(random.below(200));
    world.receive(frame, random.below(frame.size() + 1), random.coin());
  }
  EXPECT_TRUE(world.host.segments.empty());
  EXPECT_TRUE(world.host.errors.empty());
}

TEST(HostileFrames, MutatedFramesBreakNothing) {
  World world;
  Random random(51);
  const std::vector<Buffer> originals = seeds();
  std::size_t delivered = 0;
  for (int round = 0; round < 40000; ++round) {
    Buffer frame = originals[random.below(originals.size())];
    for (std::uint64_t edits = random.below(5); edits > 0; --edits) {
      // Mostly behind the Ethernet header: whatever is not for us is dropped at once.
      const std::size_t at = random.below(10) == 0 ? random.below(14) : 14 + random.below(frame.size() - 14);
      frame[at] = random.any<std::byte>();
    }
    if (random.below(4) == 0) frame.resize(random.below(frame.size() + 1));
    if (random.below(4) != 0) repair(frame);
    world.receive(frame, random.below(frame.size() + 1), random.coin());
    delivered += world.host.segments.size();
    expect_sound(world);
    if (random.below(50) == 0) world.send_tcp(Ipv4Address{0x0a4d0000 + static_cast<std::uint32_t>(random.below(256))});
    if (random.below(20) == 0) world.advance(std::chrono::milliseconds(random.below(3000)));
  }
  EXPECT_GT(delivered, 1000U);
  world.advance(1h);
  EXPECT_EQ(world.ip.deadline(), kNever);
}

}  // namespace
}  // namespace holdfast::ip
