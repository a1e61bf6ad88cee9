#include "wire/ipv4.h"

#include "base/assert.h"
#include "base/endian.h"
#include "wire/checksum.h"

namespace holdfast::wire {
namespace {

constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint16_t kOffsetMask = 0x1fff;  // in units of 8 bytes

// Fields only; the caller has seen that the first 20 bytes are there.
Ipv4Header load_header(const std::byte* at) {
  Ipv4Header header;
  header.header_length = static_cast<std::uint8_t>((std::to_integer<unsigned>(at[0]) & 0xfU) * 4);
  header.dscp = static_cast<std::uint8_t>(std::to_integer<unsigned>(at[1]) >> 2);
  header.ecn = std::to_integer<std::uint8_t>(at[1] & std::byte{3});
  header.total_length = load_be16(at + 2);
  header.id = load_be16(at + 4);
  const std::uint16_t fragment = load_be16(at + 6);
  header.dont_fragment = (fragment & kDontFragment) != 0;
  header.more_fragments = (fragment & kMoreFragments) != 0;
  header.fragment_offset = static_cast<std::uint16_t>((fragment & kOffsetMask) * 8);
  header.ttl = std::to_integer<std::uint8_t>(at[8]);
  header.protocol = std::to_integer<std::uint8_t>(at[9]);
  header.source = Ipv4Address{load_be32(at + 12)};
  header.destination = Ipv4Address{load_be32(at + 16)};
  return header;
}

bool fragment_fits(const Ipv4Header& header) {
  if (!header.is_fragment()) return true;
  const std::size_t payload = header.payload_length();
  if (payload == 0) return false;
  if (header.more_fragments && payload % 8 != 0) return false;
  return header.fragment_offset + payload + kIpv4MinHeader <= kIpv4MaxDatagram;
}

}  // namespace

std::size_t ipv4_header_length(Bytes datagram) {
  return datagram.empty() ? 0 : (std::to_integer<std::size_t>(datagram[0]) & 0xfU) * 4;
}

std::expected<Ipv4Header, ParseError> parse_quoted_ipv4(Bytes datagram) {
  if (datagram.size() < kIpv4MinHeader) return std::unexpected(ParseError::kTruncated);
  if ((datagram[0] >> 4) != std::byte{4}) return std::unexpected(ParseError::kBadVersion);
  const Ipv4Header header = load_header(datagram.data());
  if (header.header_length < kIpv4MinHeader) return std::unexpected(ParseError::kBadVersion);
  if (header.header_length > datagram.size()) return std::unexpected(ParseError::kTruncated);
  if (header.total_length < header.header_length) return std::unexpected(ParseError::kBadLength);
  return header;
}

std::expected<Ipv4Header, ParseError> parse_ipv4(Bytes datagram, std::size_t available) {
  const auto header = parse_quoted_ipv4(datagram);
  if (!header) return header;
  if (ones_complement_sum(datagram.first(header->header_length)) != 0xffff) {
    return std::unexpected(ParseError::kBadChecksum);
  }
  if (header->total_length > available) return std::unexpected(ParseError::kTruncated);
  if (!fragment_fits(*header)) return std::unexpected(ParseError::kBadLength);
  return header;
}

void emit_ipv4(const Ipv4Header& header, MutableBytes out) {
  HF_ASSERT(out.size() >= kIpv4MinHeader);
  HF_ASSERT(header.fragment_offset % 8 == 0 && header.total_length >= kIpv4MinHeader);
  std::byte* at = out.data();
  at[0] = std::byte{0x45};
  at[1] = static_cast<std::byte>((header.dscp << 2) | (header.ecn & 3));
  store_be16(at + 2, header.total_length);
  store_be16(at + 4, header.id);
  store_be16(at + 6,
             static_cast<std::uint16_t>((header.dont_fragment ? kDontFragment : 0) |
                                        (header.more_fragments ? kMoreFragments : 0) | (header.fragment_offset / 8)));
  at[8] = static_cast<std::byte>(header.ttl);
  at[9] = static_cast<std::byte>(header.protocol);
  store_be16(at + 10, 0);
  store_be32(at + 12, header.source.value);
  store_be32(at + 16, header.destination.value);
  store_be16(at + 10, internet_checksum(out.first(kIpv4MinHeader)));
}

}  // namespace holdfast::wire
