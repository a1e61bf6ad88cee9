// Ethernet II frames. Anything else (802.3 length fields, VLAN tags) shows as an EtherType that nobody takes.
#pragma once

#include <cstdint>
#include <expected>

#include "base/units.h"
#include "wire/address.h"
#include "wire/parse_error.h"

namespace holdfast::wire {

inline constexpr std::size_t kEthernetHeader = 14;

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;

struct EthernetHeader {
  MacAddress destination, source;
  std::uint16_t ether_type = 0;
  friend bool operator==(const EthernetHeader&, const EthernetHeader&) = default;
};

// Reads a header from the start of `frame`; the payload starts at kEthernetHeader. kBadAddress: the source is a group
// address.
std::expected<EthernetHeader, ParseError> parse_ethernet(Bytes frame);

// Writes kEthernetHeader bytes at the start of `out`, which holds at least as many.
void emit_ethernet(const EthernetHeader& header, MutableBytes out);

// Six octets, as they stand in Ethernet and ARP headers. `at` has room for them.
MacAddress load_mac(const std::byte* at);
void store_mac(std::byte* at, const MacAddress& mac);

}  // namespace holdfast::wire
