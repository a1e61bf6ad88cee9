#include "wire/icmp.h"

#include <cstring>

#include "base/assert.h"
#include "base/endian.h"
#include "wire/checksum.h"

namespace holdfast::wire {

std::expected<IcmpMessage, ParseError> parse_icmp(Bytes message) {
  if (message.size() < kIcmpHeader) return std::unexpected(ParseError::kTruncated);
  if (ones_complement_sum(message) != 0xffff) return std::unexpected(ParseError::kBadChecksum);
  IcmpMessage parsed;
  parsed.type = std::to_integer<std::uint8_t>(message[0]);
  parsed.code = std::to_integer<std::uint8_t>(message[1]);
  parsed.rest = load_be32(message.data() + 4);
  parsed.payload = message.subspan(kIcmpHeader);
  return parsed;
}

std::size_t emit_icmp(const IcmpMessage& message, MutableBytes out) {
  const std::size_t length = kIcmpHeader + message.payload.size();
  HF_ASSERT(out.size() >= length);
  std::byte* at = out.data();
  at[0] = static_cast<std::byte>(message.type);
  at[1] = static_cast<std::byte>(message.code);
  store_be16(at + 2, 0);
  store_be32(at + 4, message.rest);
  if (!message.payload.empty()) std::memmove(at + kIcmpHeader, message.payload.data(), message.payload.size());
  store_be16(at + 2, internet_checksum(out.first(length)));
  return length;
}

std::expected<IcmpQuote, ParseError> parse_icmp_quote(const IcmpMessage& error) {
  const auto header = parse_quoted_ipv4(error.payload);
  if (!header) return std::unexpected(header.error());
  IcmpQuote quote;
  quote.header = *header;
  quote.transport = error.payload.subspan(header->header_length);
  // RFC 792: the first 64 bits of the original datagram's data.
  if (quote.transport.size() < 8) return std::unexpected(ParseError::kTruncated);
  return quote;
}

}  // namespace holdfast::wire
