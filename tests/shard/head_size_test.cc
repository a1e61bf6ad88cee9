#include "shard/head_size.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/endian.h"

namespace holdfast::shard {
namespace {

// A frame's first 128 bytes, with the given IP and TCP header lengths.
std::vector<std::byte> frame(std::size_t ip_header, std::size_t tcp_header) {
  std::vector<std::byte> bytes(128);
  store_be16(&bytes[12], 0x0800);
  bytes[14] = static_cast<std::byte>(0x40 | (ip_header / 4));
  bytes[14 + 9] = std::byte{6};
  bytes[14 + ip_header + 12] = static_cast<std::byte>((tcp_header / 4) << 4);
  return bytes;
}

TEST(HeadSize, CountsEthernetIpAndTcpHeaders) {
  EXPECT_EQ(tcp_header_bytes(frame(20, 20)), 54U);
  EXPECT_EQ(tcp_header_bytes(frame(20, 32)), 66U);
  EXPECT_EQ(tcp_header_bytes(frame(24, 60)), 98U);
}

TEST(HeadSize, SaysNothingOfOtherProtocols) {
  auto arp = frame(20, 32);
  store_be16(&arp[12], 0x0806);
  EXPECT_EQ(tcp_header_bytes(arp), std::nullopt);
  auto icmp = frame(20, 32);
  icmp[14 + 9] = std::byte{1};
  EXPECT_EQ(tcp_header_bytes(icmp), std::nullopt);
}

TEST(HeadSize, SaysNothingOfFragments) {
  auto later = frame(20, 32);
  store_be16(&later[14 + 6], 0x2005);
  EXPECT_EQ(tcp_header_bytes(later), std::nullopt);
  auto whole = frame(20, 32);
  store_be16(&whole[14 + 6], 0x4000);  // don't fragment
  EXPECT_EQ(tcp_header_bytes(whole), 66U);
}

TEST(HeadSize, ReadsNothingBeyondWhatIsThere) {
  for (std::size_t size = 0; size <= 128; ++size) {
    auto bytes = frame(60, 60);
    bytes.resize(size);
    const auto found = tcp_header_bytes(bytes);
    EXPECT_EQ(found.has_value(), size >= 14 + 60 + 20) << size;
  }
}

TEST(HeadSize, RefusesHeadersThatAreTooShort) {
  EXPECT_EQ(tcp_header_bytes(frame(16, 20)), std::nullopt);
  EXPECT_EQ(tcp_header_bytes(frame(20, 16)), std::nullopt);
}

}  // namespace
}  // namespace holdfast::shard
