// What routers told about the largest datagram to a destination (RFC 1191).
//
// Limits. The report is believed when it quotes a TCP segment from our address; whether such a segment is in flight,
// only TCP knows (RFC 5927 section 7.2), and the table is per destination. So a stranger who guesses a destination can
// make segments to it as small as kFloor allows, for kLifetime: slower, never stopped.
#pragma once

#include <cstdint>

#include "base/units.h"
#include "ip/lru_table.h"
#include "wire/address.h"

namespace holdfast::ip {

class PathMtu {
 public:
  static constexpr std::uint32_t kEntries = 256;
  static constexpr std::uint16_t kFloor = 552;                     // as Linux: 512 bytes of payload and 40 of headers
  static constexpr Duration kLifetime = std::chrono::minutes(10);  // RFC 1191 section 6.3

  explicit PathMtu(std::uint64_t seed) : table_(kEntries, seed) {}

  // A router could not forward a datagram of `total_length` bytes to `destination`; `next_hop_mtu` 0: it does not say
  // why (RFC 1191 section 5). Never raises what was told before.
  void lower(wire::Ipv4Address destination, std::uint16_t next_hop_mtu, std::uint16_t total_length, Time now);

  // At most `interface_mtu`.
  std::uint16_t get(wire::Ipv4Address destination, std::uint16_t interface_mtu, Time now) const;

  std::uint32_t size() const { return table_.size(); }

 private:
  struct Path {
    std::uint16_t mtu = 0;
    Time expires{};
  };
  LruTable<Path> table_;
};

}  // namespace holdfast::ip
