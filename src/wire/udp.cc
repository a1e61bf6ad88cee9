#include "wire/udp.h"

#include "base/endian.h"

namespace holdfast::wire {

std::expected<UdpHeader, ParseError> parse_udp(Bytes datagram, std::size_t available) {
  if (datagram.size() < kUdpHeader) return std::unexpected(ParseError::kTruncated);
  UdpHeader header;
  header.source = Port{load_be16(datagram.data())};
  header.destination = Port{load_be16(datagram.data() + 2)};
  header.length = load_be16(datagram.data() + 4);
  header.checksum = load_be16(datagram.data() + 6);
  if (header.length < kUdpHeader) return std::unexpected(ParseError::kBadLength);
  if (header.length > available) return std::unexpected(ParseError::kTruncated);
  return header;
}

}  // namespace holdfast::wire
