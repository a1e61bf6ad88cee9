// Bytes that nobody meant: no parser reads outside them (run under a sanitizer), and what one accepts is consistent.
#include <gtest/gtest.h>

#include <array>

#include "wire/arp.h"
#include "wire/bytes.h"
#include "wire/captured.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace holdfast::wire {
namespace {

using testing::Buffer;
using testing::exactly;
using testing::Random;

// How many of the parsers accepted the bytes.
int parse_everything(Bytes bytes) {
  int accepted = 0;
  if (const auto ethernet = parse_ethernet(bytes)) {
    ++accepted;
    EXPECT_FALSE(ethernet->source.is_multicast());
  }
  if (const auto arp = parse_arp(bytes)) ++accepted;
  for (const auto& header : {parse_ipv4(bytes, bytes.size()), parse_quoted_ipv4(bytes)}) {
    if (!header) continue;
    ++accepted;
    EXPECT_LE(header->header_length, bytes.size());
    EXPECT_GE(header->total_length, header->header_length);
  }
  if (const auto message = parse_icmp(bytes)) {
    ++accepted;
    EXPECT_EQ(message->payload.size() + kIcmpHeader, bytes.size());
    if (const auto quote = parse_icmp_quote(*message)) {
      EXPECT_GE(quote->transport.size(), 8U);
    }
  }
  if (const auto udp = parse_udp(bytes, bytes.size())) {
    ++accepted;
    EXPECT_LE(udp->length, bytes.size());
  }
  if (const auto tcp = parse_tcp(bytes)) {
    ++accepted;
    EXPECT_GE(tcp->header_length, kTcpMinHeader);
    EXPECT_LE(tcp->header_length, bytes.size());
    Buffer out(kTcpMaxHeader);
    EXPECT_LE(emit_tcp(tcp->header, out), kTcpMaxHeader);
  }
  return accepted;
}

TEST(HostileBytes, RandomOnesNeverCrashAParser) {
  Random random(30);
  int accepted = 0;
  for (int round = 0; round < 50000; ++round) accepted += parse_everything(random.bytes(random.below(100)));
  EXPECT_GT(accepted, 0);
}

TEST(HostileBytes, MutatedFramesNeverCrashAParser) {
  Random random(31);
  const std::array frames = {testing::kArpReplyFrame,    testing::kSynFrame,         testing::kDataFrame,
                             testing::kUdpFrame,         testing::kEchoRequestFrame, testing::kPortUnreachableFrame,
                             testing::kLastFragmentFrame};
  int accepted = 0;
  for (int round = 0; round < 30000; ++round) {
    Buffer frame = testing::from_hex(frames[random.below(frames.size())]);
    for (std::uint64_t edits = random.below(4); edits > 0; --edits) {
      frame[random.below(frame.size())] = random.any<std::byte>();
    }
    frame.resize(random.below(frame.size() + 1));
    for (const std::size_t at : {0UL, 14UL, 34UL}) {
      if (at <= frame.size()) accepted += parse_everything(exactly(Bytes(frame).subspan(at)));
    }
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace holdfast::wire
