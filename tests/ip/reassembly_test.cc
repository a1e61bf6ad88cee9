#include "ip/reassembly.h"

#include <gtest/gtest.h>

#include "ip/harness.h"

namespace holdfast::ip {
namespace {

using namespace testing;

wire::Ipv4Header datagram(std::uint16_t id, Ipv4Address source = kPeer, std::uint8_t protocol = wire::kProtocolTcp) {
  wire::Ipv4Header header = from_peer(protocol);
  header.id = id;
  header.source = source;
  return header;
}

Buffer fragment(wire::Ipv4Header header, std::size_t offset, Bytes payload, bool more) {
  header.fragment_offset = static_cast<std::uint16_t>(offset);
  header.more_fragments = more;
  return ip_frame(header, payload);
}

TEST(Reassembly, ACapturedEchoInTwoFragmentsIsAnswered) {
  World world;
  world.meet_peer();
  const Buffer message = icmp_message(wire::kIcmpEchoRequest, 0, 0x12340001, [] {
    Buffer data(1500);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i & 0xff);
    return data;
  }());
  wire::Ipv4Header header = datagram(0x2d6d, kPeer, wire::kProtocolIcmp);
  world.receive(fragment(header, 0, Bytes(message).first(1480), true));
  const Buffer last = from_hex(wire::testing::kLastFragmentFrame);
  world.receive(last);
  EXPECT_EQ(world.counters().reassembled, 1U);
  // The reply would not fit in one frame, and we send no fragments.
  EXPECT_EQ(world.counters().dropped_rate_limited, 1U);
  EXPECT_TRUE(world.link.sent.empty());
}

TEST(Reassembly, FragmentsInAnyOrderMakeTheSegment) {
  Random random(40);
  for (int round = 0; round < 200; ++round) {
    World world;
    const Buffer segment = tcp_segment(random.bytes(1 + random.below(8000)));
    auto frames = fragments(datagram(7), segment, 8 * (1 + random.below(300)));
    for (std::size_t i = frames.size(); i > 1; --i) std::swap(frames[i - 1], frames[random.below(i)]);
    for (std::size_t i = 0; i < frames.size(); ++i) {
      ASSERT_TRUE(world.host.segments.empty());
      world.receive(frames[i], random.below(frames[i].size() + 1));
      // Repeated by the network.
      if (random.below(4) == 0 && i + 1 < frames.size()) world.receive(frames[i], random.below(frames[i].size() + 1));
    }
    ASSERT_EQ(world.host.segments.size(), 1U);
    ASSERT_EQ(world.host.segments[0].bytes, segment);
    ASSERT_EQ(world.counters().dropped_reassembly, 0U);
  }
}

TEST(Reassembly, TheLargestDatagramFits) {
  World world;
  const Buffer segment = tcp_segment(pattern(65515 - 32));
  for (const Buffer& frame : fragments(datagram(7), segment, 1480)) world.receive(frame, 34);
  ASSERT_EQ(world.host.segments.size(), 1U);
  EXPECT_EQ(world.host.segments[0].bytes, segment);
}

TEST(Reassembly, TheChecksumIsVerifiedThoughTheLinkTrustsIt) {
  World world;
  Buffer segment = tcp_segment(pattern(3000));
  segment.back() ^= std::byte{1};
  for (const Buffer& frame : fragments(datagram(7), segment, 1480)) world.receive(frame, frame.size(), true);
  EXPECT_TRUE(world.host.segments.empty());
  EXPECT_EQ(world.counters().dropped_malformed, 1U);
}

TEST(Reassembly, FragmentsOfDifferentDatagramsDoNotMix) {
  World world;
  const Buffer segment = tcp_segment(pattern(2000));
  const auto of = [&](wire::Ipv4Header header) { return fragments(header, segment, 1480); };
  world.receive(of(datagram(1))[0]);
  world.receive(of(datagram(2))[1]);
  world.receive(of(datagram(1, kGateway))[1]);
  world.receive(of(datagram(1, kPeer, wire::kProtocolUdp))[1]);
  EXPECT_TRUE(world.host.segments.empty());
  world.receive(of(datagram(1))[1]);
  EXPECT_EQ(world.host.segments.size(), 1U);
}

// RFC 5722 section 4.
TEST(Reassembly, AnOverlapDiscardsTheDatagramAndTheRestOfIt) {
  for (const std::size_t offset : {8U, 1472U}) {
    World world;
    const Buffer segment = tcp_segment(pattern(3000));
    const auto frames = fragments(datagram(7), segment, 1480);
    world.receive(frames[0]);
    world.receive(fragment(datagram(7), offset, Buffer(16, std::byte{0xee}), true));
    for (int again = 0; again < 2; ++again) {
      for (const Buffer& frame : frames) world.receive(frame);
    }
    EXPECT_TRUE(world.host.segments.empty());
    EXPECT_EQ(world.counters().dropped_reassembly, 1U);
    // After its time, the identification is free again.
    world.advance(31s);
    for (const Buffer& frame : frames) world.receive(frame);
    EXPECT_EQ(world.host.segments.size(), 1U);
  }
}

TEST(Reassembly, ARepetitionWithOtherBytesDiscardsTheDatagram) {
  World world;
  const Buffer segment = tcp_segment(pattern(3000));
  auto frames = fragments(datagram(7), segment, 1480);
  world.receive(frames[0]);
  frames[0][700] ^= std::byte{1};
  world.receive(frames[0], 300);
  world.receive(frames[1]);
  world.receive(frames[2]);
  EXPECT_TRUE(world.host.segments.empty());
  EXPECT_EQ(world.counters().dropped_reassembly, 1U);
}

TEST(Reassembly, TwoEndsDiscardTheDatagram) {
  const Buffer part = pattern(64);
  struct Piece {
    std::size_t offset, size;
    bool more;
  };
  const std::vector<std::vector<Piece>> contradictions = {
      {{128, 64, false}, {192, 64, true}},   // more behind the end
      {{128, 64, false}, {192, 64, false}},  // a second end
      {{192, 64, true}, {128, 64, false}},   // an end before what came
      {{128, 64, false}, {128, 64, true}},   // the end, and yet not
      {{128, 64, true}, {128, 64, false}},   // the other way round
      {{128, 63, false}, {128, 64, true}},   // the end within a unit
      {{128, 64, false}, {128, 63, false}},
  };
  for (const auto& pieces : contradictions) {
    World world;
    for (const Piece& piece : pieces) {
      world.receive(fragment(datagram(7), piece.offset, Bytes(part).first(piece.size), piece.more));
    }
    EXPECT_EQ(world.counters().dropped_reassembly, 1U) << pieces[0].offset << " " << pieces[1].offset;
  }
}

TEST(Reassembly, TimeOutAfterThirtySecondsTellsTheSenderIfTheFirstFragmentCame) {
  World world;
  const Buffer segment = tcp_segment(pattern(3000));
  const auto frames = fragments(datagram(7), segment, 1480);
  world.meet_peer();
  world.receive(frames[0]);
  world.receive(fragments(datagram(8), segment, 1480)[1]);  // never its first
  EXPECT_EQ(world.ip.deadline(), world.now + 30s);
  world.advance(30s);
  EXPECT_EQ(world.counters().dropped_reassembly, 2U);
  ASSERT_EQ(world.host.assertions.size(), 1U);
  const auto message = wire::parse_icmp(Bytes(world.host.assertions[0]).subspan(34));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, wire::kIcmpTimeExceeded);
  EXPECT_EQ(message->code, 1);
  EXPECT_EQ(exactly(wire::parse_icmp_quote(*message)->transport.first(32)), exactly(Bytes(segment).first(32)));
  for (std::size_t i = 1; i < frames.size(); ++i) world.receive(frames[i]);
  EXPECT_TRUE(world.host.segments.empty());
  world.advance(31s);
  EXPECT_EQ(world.ip.deadline(), kNever);
}

TEST(Reassembly, NoErrorAnswersAnIcmpMessageThatTimesOut) {
  World world;
  world.meet_peer();
  world.receive(fragment(datagram(7, kPeer, wire::kProtocolIcmp), 0, pattern(64), true));
  world.advance(30s);
  EXPECT_EQ(world.counters().dropped_reassembly, 1U);
  EXPECT_TRUE(world.host.assertions.empty());
}

// RFC 3168 section 5.3.
TEST(Reassembly, ACongestionMarkOnAnyFragmentIsKept) {
  const auto deliver = [](std::uint8_t first, std::uint8_t second) -> int {
    World world;
    const Buffer segment = tcp_segment(pattern(2000));
    wire::Ipv4Header header = datagram(7);
    header.ecn = first;
    world.receive(fragment(header, 0, Bytes(segment).first(1480), true));
    header.ecn = second;
    world.receive(fragment(header, 1480, Bytes(segment).subspan(1480), false));
    return world.host.segments.empty() ? -1 : world.host.segments[0].ecn;
  };
  EXPECT_EQ(deliver(2, 2), 2);
  EXPECT_EQ(deliver(0, 0), 0);
  EXPECT_EQ(deliver(2, 3), 3);
  EXPECT_EQ(deliver(3, 2), 3);
  EXPECT_EQ(deliver(3, 0), -1);
}

TEST(Reassembly, OneSourceHasAShareOfTheTable) {
  World world;
  const Buffer segment = tcp_segment(pattern(2000), kGateway);
  world.receive(fragments(datagram(1, kGateway), segment, 1480)[0]);
  for (std::uint16_t id = 0; id < 1000; ++id) world.receive(fragment(datagram(id), 0, pattern(64), true));
  world.receive(fragments(datagram(1, kGateway), segment, 1480)[1]);
  EXPECT_EQ(world.host.segments.size(), 1U);
  EXPECT_EQ(world.counters().dropped_reassembly, 1000U - Reassembly::kDatagramsPerSource);
}

TEST(Reassembly, OneSourceHasAShareOfTheMemory) {
  std::uint64_t dropped = 0;
  Reassembly reassembly(dropped);
  Buffer into(65535);
  const Buffer part = pattern(2048);
  const auto add = [&](std::uint32_t source, std::uint16_t id, std::size_t offset, bool more) {
    wire::Ipv4Header header = datagram(id, Ipv4Address{source});
    header.total_length = 20 + 2048;
    header.fragment_offset = static_cast<std::uint16_t>(offset);
    header.more_fragments = more;
    return reassembly.add(header, part, {}, Time{0s}, into);
  };
  EXPECT_FALSE(add(0x01010101, 1, 0, true));
  for (std::uint16_t id = 0; id < 16; ++id) {
    for (std::size_t i = 1; i < 31; ++i) EXPECT_FALSE(add(0x02020202, id, i * 2048, true));
  }
  EXPECT_GE(reassembly.free_blocks(), Reassembly::kBlocks - Reassembly::kBlocksPerSource - 1);
  EXPECT_GT(dropped, 0U);
  const auto whole = add(0x01010101, 1, 2048, false);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->length, 4096U);
  EXPECT_EQ(exactly(Bytes(into).first(2048)), part);
}

TEST(Reassembly, ManySourcesPushOutTheOldest) {
  std::uint64_t dropped = 0;
  Reassembly reassembly(dropped);
  Buffer into(65535);
  const Buffer part = pattern(2048);
  for (std::uint32_t source = 0; source < 200; ++source) {
    for (std::size_t i = 0; i < 20; ++i) {
      wire::Ipv4Header header = datagram(1, Ipv4Address{0x01000001 + source});
      header.total_length = 20 + 2048;
      header.fragment_offset = static_cast<std::uint16_t>(i * 2048);
      header.more_fragments = true;
      EXPECT_FALSE(reassembly.add(header, part, {}, Time{std::chrono::milliseconds(source)}, into));
    }
    ASSERT_LE(reassembly.datagrams(), Reassembly::kDatagrams);
  }
  // The newest is still whole.
  wire::Ipv4Header header = datagram(1, Ipv4Address{0x01000001 + 199});
  header.total_length = 20 + 8;
  header.fragment_offset = 20 * 2048;
  EXPECT_TRUE(reassembly.add(header, Bytes(part).first(8), {}, Time{200ms}, into));
  // All memory comes back.
  std::optional<Reassembly::Expired> expired;
  while (reassembly.expire(Time{1h}, expired)) {
  }
  EXPECT_EQ(reassembly.datagrams(), 0U);
  EXPECT_EQ(reassembly.free_blocks(), Reassembly::kBlocks);
  EXPECT_EQ(dropped, 199U);
}

// Every fragment set either gives exactly the datagram's bytes or nothing, whatever is mixed in.
TEST(Reassembly, WhatComesOutIsWhatOneSenderSaid) {
  Random random(41);
  int whole = 0;
  for (int round = 0; round < 300; ++round) {
    std::uint64_t dropped = 0;
    Reassembly reassembly(dropped);
    Buffer into(65535);
    const std::size_t size = 9 + random.below(400);
    const Buffer truth = random.bytes(size);
    for (int i = 0; i < 60; ++i) {
      const std::size_t offset = random.below((size + 7) / 8) * 8;
      std::size_t length = std::min(size - offset, 8 * (1 + random.below(10)));
      if (length == 0) continue;
      wire::Ipv4Header header = datagram(static_cast<std::uint16_t>(random.below(3)));
      header.fragment_offset = static_cast<std::uint16_t>(offset);
      header.more_fragments = offset + length < size;
      if (offset == 0 && !header.more_fragments) continue;
      header.total_length = static_cast<std::uint16_t>(20 + length);
      const std::size_t split = random.below(length + 1);
      const auto result = reassembly.add(header, Bytes(truth).subspan(offset, split),
                                         Bytes(truth).subspan(offset + split, length - split), Time{0s}, into);
      if (!result) continue;
      ++whole;
      ASSERT_EQ(result->length, size);
      ASSERT_EQ(exactly(Bytes(into).first(size)), truth);
    }
  }
  EXPECT_GT(whole, 20);
}

}  // namespace
}  // namespace holdfast::ip
