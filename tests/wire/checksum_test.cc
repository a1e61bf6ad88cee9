#include "wire/checksum.h"

#include <gtest/gtest.h>

#include "wire/bytes.h"
#include "wire/tcp.h"

namespace holdfast::wire {
namespace {

using testing::Buffer;
using testing::from_hex;
using testing::Random;

// RFC 1071 section 4.1, word by word.
std::uint16_t reference_sum(Bytes bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += std::to_integer<std::uint64_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

// RFC 1071 section 3.
TEST(InternetChecksum, MatchesTheStandardExample) {
  EXPECT_EQ(ones_complement_sum(from_hex("0001 f203 f4f5 f6f7")), 0xddf2);
  EXPECT_EQ(internet_checksum(from_hex("0001 f203 f4f5 f6f7")), 0x220d);
}

TEST(InternetChecksum, OfNothingIsAllOnes) {
  EXPECT_EQ(ones_complement_sum({}), 0);
  EXPECT_EQ(internet_checksum({}), 0xffff);
}

TEST(InternetChecksum, AgreesWithWordByWordAtEveryLengthAndAlignment) {
  Random random(1);
  const Buffer bytes = random.bytes(700);
  for (std::size_t at = 0; at < 9; ++at) {
    for (std::size_t size = 0; size + at <= bytes.size(); ++size) {
      const Bytes piece = Bytes(bytes).subspan(at, size);
      ASSERT_EQ(ones_complement_sum(piece), reference_sum(piece)) << at << " " << size;
    }
  }
}

TEST(InternetChecksum, CarriesWhereEveryWordIsTheLargest) {
  const Buffer bytes(65535, std::byte{0xff});
  EXPECT_EQ(ones_complement_sum(bytes), reference_sum(bytes));
  EXPECT_EQ(ones_complement_sum(Bytes(bytes).first(65534), 0xffff), 0xffff);
}

TEST(ChecksumSum, DoesNotDependOnWhereThePiecesAreCut) {
  Random random(2);
  for (int round = 0; round < 2000; ++round) {
    const Buffer bytes = random.bytes(random.below(300));
    ChecksumSum sum;
    std::size_t at = 0;
    while (at < bytes.size()) {
      const std::size_t size = 1 + random.below(bytes.size() - at);
      sum.add(Bytes(bytes).subspan(at, size));
      at += size;
      if (random.coin()) sum.add({});
    }
    ASSERT_EQ(sum.sum(), reference_sum(bytes));
    ASSERT_EQ(sum.checksum(), static_cast<std::uint16_t>(~reference_sum(bytes)));
  }
}

TEST(UpdateChecksum, AgreesWithAFreshOne) {
  Random random(3);
  for (int round = 0; round < 5000; ++round) {
    Buffer bytes = random.bytes(20);
    const std::uint16_t before = internet_checksum(bytes);
    const auto from =
        static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[8]) << 8 | std::to_integer<unsigned>(bytes[9]));
    const auto to = random.any<std::uint16_t>();
    bytes[8] = static_cast<std::byte>(to >> 8);
    bytes[9] = static_cast<std::byte>(to & 0xff);
    ASSERT_EQ(update_checksum(before, from, to), internet_checksum(bytes));
  }
}

// RFC 1624 section 4: the case that equation 2 gets wrong.
TEST(UpdateChecksum, GivesNoNegativeZero) { EXPECT_EQ(update_checksum(0xdd2f, 0x5555, 0x3285), 0x0000); }

TEST(PseudoHeaderSum, AgreesWithThePseudoHeaderWrittenOut) {
  Random random(4);
  for (int round = 0; round < 1000; ++round) {
    const Buffer b = random.bytes(12);
    Buffer written = b;
    written[8] = std::byte{0};
    const auto word = [&](std::size_t at) {
      return std::to_integer<std::uint32_t>(b[at]) << 24 | std::to_integer<std::uint32_t>(b[at + 1]) << 16 |
             std::to_integer<std::uint32_t>(b[at + 2]) << 8 | std::to_integer<std::uint32_t>(b[at + 3]);
    };
    const std::uint32_t length = word(8) & 0xffff;
    ASSERT_EQ(
        pseudo_header_sum(Ipv4Address{word(0)}, Ipv4Address{word(4)}, std::to_integer<std::uint8_t>(b[9]), length),
        reference_sum(written));
  }
}

}  // namespace
}  // namespace holdfast::wire
