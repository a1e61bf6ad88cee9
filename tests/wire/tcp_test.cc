#include "wire/tcp.h"

#include <gtest/gtest.h>

#include "base/endian.h"
#include "wire/bytes.h"
#include "wire/captured.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"

namespace holdfast::wire {
namespace {

using testing::Buffer;
using testing::exactly;
using testing::from_hex;
using testing::Random;

Buffer segment_of(std::string_view hex) {
  const Buffer frame = from_hex(hex);
  return exactly(Bytes(frame).subspan(34));
}

// A segment whose option bytes are given, padded with NOPs.
Buffer with_options(std::string_view hex, bool syn) {
  Buffer options = from_hex(hex);
  while (options.size() % 4 != 0) options.push_back(std::byte{1});
  Buffer segment(20 + options.size());
  segment[12] = static_cast<std::byte>(segment.size() / 4 << 4);
  segment[13] = static_cast<std::byte>(syn ? 0x02 : 0x10);
  std::copy(options.begin(), options.end(), segment.begin() + 20);
  return segment;
}

TcpOptions options_of(std::string_view hex, bool syn) {
  const auto parsed = parse_tcp(with_options(hex, syn));
  EXPECT_TRUE(parsed);
  return parsed->header.options;
}

// std::optional and nested fields, compared one by one for a readable failure.
void expect_equal(const TcpHeader& a, const TcpHeader& b) {
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.destination, b.destination);
  EXPECT_EQ(a.seq, b.seq);
  EXPECT_EQ(a.ack, b.ack);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_EQ(a.window, b.window);
  EXPECT_EQ(a.urgent, b.urgent);
  EXPECT_EQ(a.options.mss, b.options.mss);
  EXPECT_EQ(a.options.window_scale, b.options.window_scale);
  EXPECT_EQ(a.options.sack_permitted, b.options.sack_permitted);
  EXPECT_EQ(a.options.timestamps, b.options.timestamps);
  ASSERT_EQ(a.options.sack.count, b.options.sack.count);
  for (std::size_t i = 0; i < a.options.sack.count; ++i) EXPECT_EQ(a.options.sack.blocks[i], b.options.sack.blocks[i]);
}

TcpHeader any_header(Random& random) {
  TcpHeader header;
  header.source = Port{random.any<std::uint16_t>()};
  header.destination = Port{random.any<std::uint16_t>()};
  header.seq = SeqNum{random.any<std::uint32_t>()};
  header.ack = SeqNum{random.any<std::uint32_t>()};
  header.flags = {random.coin(), random.coin(), random.coin(), random.coin(),
                  random.coin(), random.coin(), random.coin(), random.coin()};
  header.window = random.any<std::uint16_t>();
  header.urgent = random.any<std::uint16_t>();
  TcpOptions& options = header.options;
  if (random.coin()) options.timestamps = TcpTimestamps{random.any<std::uint32_t>(), random.any<std::uint32_t>()};
  if (header.flags.syn) {
    if (random.coin()) options.mss = static_cast<std::uint16_t>(1 + random.below(65535));
    if (random.coin()) options.window_scale = static_cast<std::uint8_t>(random.below(15));
    options.sack_permitted = random.coin();
  } else {
    const std::uint64_t blocks = random.below(options.timestamps ? 4 : 5);
    for (std::uint64_t i = 0; i < blocks; ++i) {
      options.sack.push({SeqNum{random.any<std::uint32_t>()}, SeqNum{random.any<std::uint32_t>()}});
    }
  }
  return header;
}

TEST(Tcp, ReadsACapturedSyn) {
  const auto parsed = parse_tcp(segment_of(testing::kSynFrame));
  ASSERT_TRUE(parsed);
  const TcpHeader& header = parsed->header;
  EXPECT_EQ(parsed->header_length, 40U);
  EXPECT_EQ(header.source, Port{41554});
  EXPECT_EQ(header.destination, Port{7});
  EXPECT_EQ(header.seq, SeqNum{2679584923U});
  EXPECT_EQ(header.flags, (TcpFlags{.syn = true}));
  EXPECT_EQ(header.window, 64240);
  EXPECT_EQ(header.options.mss, 1460);
  EXPECT_EQ(header.options.window_scale, 10);
  EXPECT_TRUE(header.options.sack_permitted);
  EXPECT_EQ(header.options.timestamps, (TcpTimestamps{3189068795U, 0}));
}

TEST(Tcp, ReadsCapturedData) {
  const Buffer segment = segment_of(testing::kDataFrame);
  const auto parsed = parse_tcp(segment);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->header_length, 32U);
  EXPECT_EQ(parsed->header.flags, (TcpFlags{.psh = true, .ack = true}));
  EXPECT_EQ(parsed->header.options.timestamps, (TcpTimestamps{3189068795U, 2344740680U}));
  EXPECT_EQ(segment.size() - parsed->header_length, 5U);
}

// Byte for byte as Linux lays them out, but for the checksum, which others fill in.
TEST(Tcp, EmitsWhatWasCaptured) {
  for (const auto hex : {testing::kSynFrame, testing::kSynAckFrame, testing::kDataFrame, testing::kFinFrame}) {
    Buffer captured = segment_of(hex);
    const auto parsed = parse_tcp(captured);
    ASSERT_TRUE(parsed);
    captured.resize(parsed->header_length);
    store_be16(captured.data() + 16, 0);
    Buffer out(kTcpMaxHeader);
    out.resize(emit_tcp(parsed->header, out));
    EXPECT_EQ(out, captured);
  }
}

TEST(Tcp, TheChecksumOfACapturedSegmentHolds) {
  const Buffer segment = segment_of(testing::kDataFrame);
  const std::uint16_t pseudo = pseudo_header_sum(Ipv4Address{0x0a4d0001}, Ipv4Address{0x0a4d0002}, kProtocolTcp,
                                                 static_cast<std::uint32_t>(segment.size()));
  EXPECT_EQ(ones_complement_sum(segment, pseudo), 0xffff);
}

TEST(Tcp, ReadsBackWhatItWrites) {
  Random random(20);
  for (int round = 0; round < 20000; ++round) {
    const TcpHeader header = any_header(random);
    Buffer out(kTcpMaxHeader, std::byte{0xee});
    const std::size_t length = emit_tcp(header, out);
    ASSERT_EQ(length % 4, 0U);
    const auto parsed = parse_tcp(exactly(Bytes(out).first(length)));
    ASSERT_TRUE(parsed);
    ASSERT_EQ(parsed->header_length, length);
    expect_equal(parsed->header, header);
    if (HasFailure()) return;
  }
}

TEST(Tcp, SackBlocksBeyondTheRoomAreLeftOut) {
  TcpHeader header;
  header.options.timestamps = TcpTimestamps{1, 2};
  for (std::uint32_t i = 0; i < 5; ++i) header.options.sack.push({SeqNum{i}, SeqNum{i + 1}});
  EXPECT_EQ(header.options.sack.count, 4);
  Buffer out(kTcpMaxHeader);
  EXPECT_EQ(emit_tcp(header, out), 60U);
  EXPECT_EQ(parse_tcp(out)->header.options.sack.count, 3);
  header.options.timestamps.reset();
  EXPECT_EQ(emit_tcp(header, out), 56U);
  EXPECT_EQ(parse_tcp(out)->header.options.sack.count, 4);
}

TEST(Tcp, RejectsEveryTruncationOfTheHeader) {
  const Buffer segment = segment_of(testing::kSynFrame);
  for (std::size_t size = 0; size < segment.size(); ++size) {
    EXPECT_EQ(parse_tcp(exactly(Bytes(segment).first(size))).error(), ParseError::kTruncated) << size;
  }
}

TEST(Tcp, RejectsADataOffsetBelowFive) {
  Buffer segment = segment_of(testing::kSynFrame);
  for (unsigned offset = 0; offset < 5; ++offset) {
    segment[12] = static_cast<std::byte>(offset << 4);
    EXPECT_EQ(parse_tcp(segment).error(), ParseError::kBadVersion);
  }
}

TEST(TcpOptions, UnknownOnesAreSkipped) {
  const TcpOptions options = options_of("fe 06 0102 0304 0204 0218", true);
  EXPECT_EQ(options.mss, 536);
}

TEST(TcpOptions, SynOptionsElsewhereAreIgnored) {
  const TcpOptions options = options_of("0204 05b4 0303 07 0402", false);
  EXPECT_FALSE(options.mss);
  EXPECT_FALSE(options.window_scale);
  EXPECT_FALSE(options.sack_permitted);
}

TEST(TcpOptions, SackOnASynIsIgnored) { EXPECT_TRUE(options_of("050a 0000 0001 0000 0002", true).sack.empty()); }

// RFC 7323 section 2.3.
TEST(TcpOptions, AShiftAbove14IsReadAs14) { EXPECT_EQ(options_of("0303 0f", true).window_scale, 14); }

TEST(TcpOptions, AnImpossibleLengthEndsThemAndKeepsWhatCameBefore) {
  for (const auto* bad : {"fe 00", "fe 01", "fe ff", "fe"}) {
    const TcpOptions options = options_of(std::string("0204 05b4 ") + bad, true);
    EXPECT_EQ(options.mss, 1460) << bad;
  }
  EXPECT_FALSE(options_of("fe00 0204 05b4", true).mss);
}

TEST(TcpOptions, AKnownKindWithAWrongLengthIsSkipped) {
  const TcpOptions options = options_of("0205 0102 03 0304 0101 0403 01 0204 05b4", true);
  EXPECT_EQ(options.mss, 1460);
  EXPECT_FALSE(options.window_scale);
  EXPECT_FALSE(options.sack_permitted);
  EXPECT_TRUE(options_of("0506 0000 0001", false).sack.empty());
  EXPECT_FALSE(options_of("0809 0000 0001 0000 00", false).timestamps);
}

TEST(TcpOptions, NothingIsReadAfterTheEnd) { EXPECT_FALSE(options_of("00 0204 05b4", true).mss); }

TEST(TcpOptions, AnMssOfZeroIsNone) { EXPECT_FALSE(options_of("0204 0000", true).mss); }

TEST(TcpOptions, TheLastOfTwoCounts) {
  EXPECT_EQ(options_of("0204 05b4 0204 0218", true).mss, 536);
  EXPECT_EQ(options_of("050a 0000 0001 0000 0002 050a 0000 0003 0000 0004", false).sack.count, 1);
}

TEST(TcpOptions, FourSackBlocksFit) {
  const TcpOptions options =
      options_of("0101 0522 0000 0001 0000 0002 0000 0003 0000 0004 0000 0005 0000 0006 0000 0007 0000 0008", false);
  ASSERT_EQ(options.sack.count, 4);
  EXPECT_EQ(options.sack.blocks[3], (SackBlock{SeqNum{7}, SeqNum{8}}));
}

}  // namespace
}  // namespace holdfast::wire
