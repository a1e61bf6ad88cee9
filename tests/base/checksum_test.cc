#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "base/crc32c.h"
#include "base/prf.h"

namespace holdfast {
namespace {

Bytes bytes_of(const char* text) { return std::as_bytes(std::span(text, std::strlen(text))); }

// RFC 3720 appendix B.4.
TEST(Crc32c, MatchesTheStandardVectors) {
  std::array<std::byte, 32> zeros{};
  EXPECT_EQ(crc32c(0, zeros), 0x8a9136aaU);
  std::array<std::byte, 32> ones;
  ones.fill(std::byte{0xff});
  EXPECT_EQ(crc32c(0, ones), 0x62a8ab43U);
  EXPECT_EQ(crc32c(0, bytes_of("123456789")), 0xe3069283U);
}

TEST(Crc32c, ContinuesOverPieces) {
  EXPECT_EQ(crc32c(crc32c(0, bytes_of("1234")), bytes_of("56789")), crc32c(0, bytes_of("123456789")));
}

// The reference vector of the SipHash paper, appendix A: key 00..0f, input 00..0e.
TEST(Prf, IsSipHash24) {
  Secret secret;
  std::array<std::byte, 15> input;
  for (std::size_t i = 0; i < 16; ++i) secret.key[i] = static_cast<std::byte>(i);
  for (std::size_t i = 0; i < 15; ++i) input[i] = static_cast<std::byte>(i);
  EXPECT_EQ(prf(secret, input), 0xa129ca6149be45e5ULL);
}

}  // namespace
}  // namespace holdfast
