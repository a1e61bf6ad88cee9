// Ethernet, ARP, IPv4, ICMP and UDP: against captured frames, and emit -> parse.
#include <gtest/gtest.h>

#include "base/endian.h"
#include "wire/arp.h"
#include "wire/bytes.h"
#include "wire/captured.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace holdfast::wire {
namespace {

using namespace testing;  // wire::testing

constexpr MacAddress kMacA{{2, 0, 0, 0, 0, 0x0a}};
constexpr MacAddress kMacB{{2, 0, 0, 0, 0, 0x0b}};
constexpr Ipv4Address kA{0x0a4d0001};
constexpr Ipv4Address kB{0x0a4d0002};

Ipv4Header any_ipv4(Random& random) {
  Ipv4Header header;
  header.dscp = static_cast<std::uint8_t>(random.below(64));
  header.ecn = static_cast<std::uint8_t>(random.below(4));
  header.total_length = static_cast<std::uint16_t>(20 + random.below(65535 - 20 + 1));
  header.id = random.any<std::uint16_t>();
  header.dont_fragment = random.coin();
  header.ttl = random.any<std::uint8_t>();
  header.protocol = random.any<std::uint8_t>();
  header.source = Ipv4Address{random.any<std::uint32_t>()};
  header.destination = Ipv4Address{random.any<std::uint32_t>()};
  return header;
}

void fix_checksum(Buffer& header) {
  store_be16(header.data() + 10, 0);
  store_be16(header.data() + 10, internet_checksum(header));
}

TEST(Ethernet, ReadsACapturedFrame) {
  const auto header = parse_ethernet(from_hex(kSynFrame));
  ASSERT_TRUE(header);
  EXPECT_EQ(*header, (EthernetHeader{kMacB, kMacA, kEtherTypeIpv4}));
}

TEST(Ethernet, EmitsWhatItReads) {
  const Buffer frame = from_hex(kArpRequestFrame);
  Buffer out(kEthernetHeader);
  emit_ethernet(*parse_ethernet(frame), out);
  EXPECT_EQ(out, exactly(Bytes(frame).first(kEthernetHeader)));
}

TEST(Ethernet, RejectsATruncatedHeaderAndAGroupSource) {
  const Buffer frame = from_hex(kSynFrame);
  for (std::size_t size = 0; size < kEthernetHeader; ++size) {
    EXPECT_EQ(parse_ethernet(exactly(Bytes(frame).first(size))).error(), ParseError::kTruncated);
  }
  Buffer from_group = frame;
  from_group[6] |= std::byte{1};
  EXPECT_EQ(parse_ethernet(from_group).error(), ParseError::kBadAddress);
}

TEST(Arp, ReadsACapturedRequestAndReply) {
  const Buffer request = from_hex(kArpRequestFrame);
  EXPECT_EQ(parse_arp(Bytes(request).subspan(kEthernetHeader)),
            (ArpPacket{ArpOperation::kRequest, kMacA, kA, MacAddress{}, kB}));
  const Buffer reply = from_hex(kArpReplyFrame);
  EXPECT_EQ(parse_arp(Bytes(reply).subspan(kEthernetHeader)), (ArpPacket{ArpOperation::kReply, kMacB, kB, kMacA, kA}));
}

TEST(Arp, EmitsWhatItReads) {
  for (const auto hex : {testing::kArpRequestFrame, testing::kArpReplyFrame}) {
    const Buffer frame = from_hex(hex);
    const Bytes packet = Bytes(frame).subspan(kEthernetHeader);
    Buffer out(kArpPacket);
    emit_arp(*parse_arp(packet), out);
    EXPECT_EQ(out, exactly(packet));
  }
}

TEST(Arp, RejectsEveryTruncation) {
  const Buffer frame = from_hex(kArpReplyFrame);
  for (std::size_t size = 0; size < kArpPacket; ++size) {
    EXPECT_EQ(parse_arp(exactly(Bytes(frame).subspan(kEthernetHeader, size))).error(), ParseError::kTruncated) << size;
  }
}

TEST(Arp, RejectsOtherTypesLengthsAndSenders) {
  const Buffer frame = from_hex(kArpReplyFrame);
  const auto with = [&](std::size_t at, unsigned value) {
    Buffer packet = exactly(Bytes(frame).subspan(kEthernetHeader));
    packet[at] = static_cast<std::byte>(value);
    return parse_arp(packet);
  };
  EXPECT_EQ(with(1, 6).error(), ParseError::kUnsupported);     // hardware type
  EXPECT_EQ(with(2, 0x86).error(), ParseError::kUnsupported);  // protocol type
  EXPECT_EQ(with(4, 8).error(), ParseError::kBadLength);
  EXPECT_EQ(with(5, 16).error(), ParseError::kBadLength);
  EXPECT_EQ(with(7, 3).error(), ParseError::kUnsupported);    // RARP
  EXPECT_EQ(with(8, 3).error(), ParseError::kBadAddress);     // sender's MAC a group
  EXPECT_EQ(with(14, 127).error(), ParseError::kBadAddress);  // sender loopback
  EXPECT_EQ(with(14, 0xe0).error(), ParseError::kBadAddress);
  EXPECT_TRUE(with(14, 11));
}

TEST(Arp, AProbesSenderIsUnspecified) {
  ArpPacket probe{ArpOperation::kRequest, kMacA, Ipv4Address{}, MacAddress{}, kB};
  Buffer out(kArpPacket);
  emit_arp(probe, out);
  EXPECT_EQ(parse_arp(out), probe);
}

TEST(Ipv4, ReadsACapturedHeader) {
  const Buffer frame = from_hex(kDataFrame);
  const Bytes datagram = Bytes(frame).subspan(kEthernetHeader);
  const auto header = parse_ipv4(datagram, datagram.size());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->header_length, 20);
  EXPECT_EQ(header->total_length, 57);
  EXPECT_EQ(header->payload_length(), 37U);
  EXPECT_EQ(header->id, 0x924a);
  EXPECT_TRUE(header->dont_fragment);
  EXPECT_FALSE(header->is_fragment());
  EXPECT_EQ(header->ttl, 64);
  EXPECT_EQ(header->protocol, kProtocolTcp);
  EXPECT_EQ(header->source, kA);
  EXPECT_EQ(header->destination, kB);
  EXPECT_EQ(header->ecn, 0);
}

TEST(Ipv4, ReadsACapturedFragment) {
  const Buffer frame = from_hex(kLastFragmentFrame);
  const Bytes datagram = Bytes(frame).subspan(kEthernetHeader);
  const auto header = parse_ipv4(datagram, datagram.size());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->fragment_offset, 1480);
  EXPECT_TRUE(header->is_fragment());
  EXPECT_FALSE(header->more_fragments);
}

TEST(Ipv4, EmitsWhatWasCaptured) {
  for (const auto hex : {testing::kDataFrame, testing::kLastFragmentFrame, testing::kPortUnreachableFrame}) {
    const Buffer frame = from_hex(hex);
    const Bytes datagram = Bytes(frame).subspan(kEthernetHeader);
    Buffer out(kIpv4MinHeader);
    emit_ipv4(*parse_ipv4(datagram, datagram.size()), out);
    EXPECT_EQ(out, exactly(datagram.first(kIpv4MinHeader)));
  }
}

TEST(Ipv4, ReadsBackWhatItWrites) {
  Random random(10);
  for (int round = 0; round < 5000; ++round) {
    Ipv4Header header = any_ipv4(random);
    if (random.coin()) {
      header.fragment_offset = static_cast<std::uint16_t>(random.below(1024) * 8);
      header.more_fragments = random.coin();
      header.total_length = static_cast<std::uint16_t>(20 + 8 * (1 + random.below(1000)));
    }
    Buffer out(kIpv4MinHeader);
    emit_ipv4(header, out);
    ASSERT_EQ(parse_ipv4(out, 65535), header);
  }
}

TEST(Ipv4, RejectsEveryTruncation) {
  const Buffer frame = from_hex(kDataFrame);
  const Bytes datagram = Bytes(frame).subspan(kEthernetHeader);
  for (std::size_t size = 0; size < datagram.size(); ++size) {
    EXPECT_EQ(parse_ipv4(exactly(datagram.first(size)), size).error(), ParseError::kTruncated) << size;
  }
  EXPECT_TRUE(parse_ipv4(exactly(datagram.first(20)), datagram.size()));
}

TEST(Ipv4, AnyFlippedHeaderBitIsNoticed) {
  const Buffer frame = from_hex(kDataFrame);
  const Buffer datagram = exactly(Bytes(frame).subspan(kEthernetHeader));
  for (std::size_t bit = 0; bit < 20 * 8; ++bit) {
    Buffer flipped = datagram;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    EXPECT_FALSE(parse_ipv4(flipped, 65535)) << bit;
  }
}

TEST(Ipv4, OptionsAreSkippedAndCoveredByTheChecksum) {
  Buffer header(24);
  emit_ipv4({.total_length = 44, .protocol = 6, .source = kA, .destination = kB}, header);
  header[0] = std::byte{0x46};
  header[20] = std::byte{0x94};  // router alert
  header[21] = std::byte{4};
  EXPECT_EQ(parse_ipv4(header, 44).error(), ParseError::kBadChecksum);
  fix_checksum(header);
  const auto parsed = parse_ipv4(header, 44);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->header_length, 24);
  EXPECT_EQ(parsed->payload_length(), 20U);
  EXPECT_EQ(ipv4_header_length(header), 24U);
  EXPECT_EQ(parse_ipv4(exactly(Bytes(header).first(23)), 44).error(), ParseError::kTruncated);
}

TEST(Ipv4, RejectsContradictions) {
  const auto with = [](std::size_t at, unsigned value) {
    Buffer header(kIpv4MinHeader);
    emit_ipv4({.total_length = 40, .source = kA, .destination = kB}, header);
    header[at] = static_cast<std::byte>(value);
    fix_checksum(header);
    return parse_ipv4(header, 1500);
  };
  EXPECT_EQ(with(0, 0x65).error(), ParseError::kBadVersion);
  EXPECT_EQ(with(0, 0x44).error(), ParseError::kBadVersion);  // header of 16 bytes
  EXPECT_EQ(with(3, 19).error(), ParseError::kBadLength);
  EXPECT_TRUE(with(3, 20));
  EXPECT_EQ(with(2, 0x10).error(), ParseError::kTruncated);  // more than there is
}

TEST(Ipv4, RejectsImpossibleFragments) {
  const auto parse = [](std::uint16_t payload, std::uint16_t offset, bool more) {
    Buffer header(kIpv4MinHeader);
    emit_ipv4({.total_length = static_cast<std::uint16_t>(20 + payload),
               .more_fragments = more,
               .fragment_offset = offset,
               .source = kA,
               .destination = kB},
              header);
    return parse_ipv4(header, 65535);
  };
  EXPECT_TRUE(parse(16, 0, true));
  EXPECT_EQ(parse(12, 0, true).error(), ParseError::kBadLength);  // not the last, and not whole units of 8 bytes
  EXPECT_TRUE(parse(12, 8, false));
  EXPECT_EQ(parse(0, 8, false).error(), ParseError::kBadLength);
  EXPECT_EQ(parse(0, 0, true).error(), ParseError::kBadLength);
  EXPECT_TRUE(parse(3, 65512, false));                                // ends at 65,515 + 20
  EXPECT_EQ(parse(4, 65512, false).error(), ParseError::kBadLength);  // the ping of death
}

TEST(Icmp, ReadsACapturedEcho) {
  const Buffer frame = from_hex(kEchoRequestFrame);
  const auto message = parse_icmp(Bytes(frame).subspan(34));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, kIcmpEchoRequest);
  EXPECT_EQ(message->rest, 0x12340001U);
  EXPECT_EQ(message->payload.size(), 12U);
}

TEST(Icmp, EmitsWhatWasCaptured) {
  for (const auto hex : {testing::kEchoRequestFrame, testing::kEchoReplyFrame, testing::kPortUnreachableFrame}) {
    const Buffer frame = from_hex(hex);
    const Bytes captured = Bytes(frame).subspan(34);
    Buffer out(captured.size());
    EXPECT_EQ(emit_icmp(*parse_icmp(captured), out), captured.size());
    EXPECT_EQ(out, exactly(captured));
  }
}

TEST(Icmp, EmitsAPayloadThatLiesInPlace) {
  const Buffer frame = from_hex(kEchoRequestFrame);
  Buffer message = exactly(Bytes(frame).subspan(34));
  auto reply = *parse_icmp(message);
  reply.type = kIcmpEchoReply;
  EXPECT_EQ(emit_icmp(reply, message), message.size());
  const Buffer expected = from_hex(kEchoReplyFrame);
  EXPECT_EQ(message, exactly(Bytes(expected).subspan(34)));
}

TEST(Icmp, AnyFlippedBitIsNoticed) {
  const Buffer frame = from_hex(kEchoRequestFrame);
  const Buffer message = exactly(Bytes(frame).subspan(34));
  for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
    Buffer flipped = message;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    EXPECT_EQ(parse_icmp(flipped).error(), ParseError::kBadChecksum) << bit;
  }
  for (std::size_t size = 0; size < message.size(); ++size)
    EXPECT_FALSE(parse_icmp(exactly(Bytes(message).first(size))));
}

TEST(Icmp, ReadsACapturedQuotation) {
  const Buffer frame = from_hex(kPortUnreachableFrame);
  const auto message = parse_icmp(Bytes(frame).subspan(34));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, kIcmpDestinationUnreachable);
  EXPECT_EQ(message->code, kIcmpPortUnreachable);
  const auto quote = parse_icmp_quote(*message);
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->header.source, kA);
  EXPECT_EQ(quote->header.destination, kB);
  EXPECT_EQ(quote->header.protocol, kProtocolUdp);
  EXPECT_EQ(quote->transport.size(), 13U);
}

TEST(Icmp, AQuotationNeedsAHeaderAndEightBytes) {
  const Buffer frame = from_hex(kPortUnreachableFrame);
  const Buffer message = exactly(Bytes(frame).subspan(34));
  const auto parse = [&](std::size_t size) {
    const Buffer quoted = exactly(Bytes(message).subspan(kIcmpHeader, size));
    return parse_icmp_quote({.type = 3, .code = 3, .rest = 0, .payload = quoted}).has_value();
  };
  for (std::size_t size = 0; size < 28; ++size) EXPECT_FALSE(parse(size)) << size;
  EXPECT_TRUE(parse(28));  // less than the quoted total length
}

TEST(Icmp, AQuotedChecksumIsNotLookedAt) {
  const Buffer frame = from_hex(kPortUnreachableFrame);
  Buffer quoted = exactly(Bytes(frame).subspan(34 + kIcmpHeader));
  quoted[8] = std::byte{1};  // TTL as the router saw it
  EXPECT_TRUE(parse_icmp_quote({.type = 11, .code = 0, .rest = 0, .payload = quoted}));
}

TEST(Udp, ReadsACapturedHeader) {
  const Buffer frame = from_hex(kUdpFrame);
  const Bytes datagram = Bytes(frame).subspan(34);
  const auto header = parse_udp(datagram, datagram.size());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->source, Port{54226});
  EXPECT_EQ(header->destination, Port{9});
  EXPECT_EQ(header->length, 13);
  EXPECT_EQ(header->checksum, 0xd389);
  EXPECT_EQ(ones_complement_sum(datagram, pseudo_header_sum(kA, kB, kProtocolUdp, 13)), 0xffff);
}

TEST(Udp, RejectsTruncationAndContradiction) {
  const Buffer frame = from_hex(kUdpFrame);
  const Bytes datagram = Bytes(frame).subspan(34);
  for (std::size_t size = 0; size < 13; ++size) {
    EXPECT_EQ(parse_udp(exactly(datagram.first(size)), size).error(), ParseError::kTruncated) << size;
  }
  Buffer short_length = exactly(datagram);
  short_length[5] = std::byte{7};
  EXPECT_EQ(parse_udp(short_length, short_length.size()).error(), ParseError::kBadLength);
}

}  // namespace
}  // namespace holdfast::wire
