#include "wire/ethernet.h"

#include <cstring>

#include "base/assert.h"
#include "base/endian.h"

namespace holdfast::wire {

MacAddress load_mac(const std::byte* at) {
  MacAddress mac;
  std::memcpy(mac.octets.data(), at, mac.octets.size());
  return mac;
}

void store_mac(std::byte* at, const MacAddress& mac) { std::memcpy(at, mac.octets.data(), mac.octets.size()); }

std::expected<EthernetHeader, ParseError> parse_ethernet(Bytes frame) {
  if (frame.size() < kEthernetHeader) return std::unexpected(ParseError::kTruncated);
  EthernetHeader header;
  header.destination = load_mac(frame.data());
  header.source = load_mac(frame.data() + 6);
  header.ether_type = load_be16(frame.data() + 12);
  if (header.source.is_multicast()) return std::unexpected(ParseError::kBadAddress);
  return header;
}

void emit_ethernet(const EthernetHeader& header, MutableBytes out) {
  HF_ASSERT(out.size() >= kEthernetHeader);
  store_mac(out.data(), header.destination);
  store_mac(out.data() + 6, header.source);
  store_be16(out.data() + 12, header.ether_type);
}

}  // namespace holdfast::wire
