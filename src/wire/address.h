// Link and network addresses, ports, and the pair of endpoints that names a connection.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "base/units.h"

namespace holdfast::wire {

struct MacAddress {
  std::array<std::uint8_t, 6> octets{};
  friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) = default;
  bool is_multicast() const { return (octets[0] & 1U) != 0; }  // broadcast included
  std::string to_string() const;                               // "02:00:00:00:00:01"
  static std::expected<MacAddress, std::string> parse(std::string_view text);
};
inline constexpr MacAddress kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

// Host order: 10.77.0.2 is 0x0a4d0002.
struct Ipv4Address {
  std::uint32_t value = 0;
  friend constexpr auto operator<=>(const Ipv4Address&, const Ipv4Address&) = default;
  bool is_unspecified() const { return value == 0; }
  bool is_loopback() const { return (value >> 24) == 127; }
  bool is_multicast() const { return (value >> 28) == 0xe; }
  bool is_broadcast() const { return value == 0xffffffff; }
  // An address that one host can have: not 0/8, loopback, multicast, reserved or broadcast.
  bool is_unicast_host() const { return (value >> 24) != 0 && !is_loopback() && (value >> 28) < 0xe; }
  std::string to_string() const;
  static std::expected<Ipv4Address, std::string> parse(std::string_view text);
};

struct Ipv4Prefix {
  Ipv4Address address;
  std::uint8_t length = 32;  // 0..32
  constexpr std::uint32_t mask() const { return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length); }
  constexpr bool contains(Ipv4Address a) const { return (a.value & mask()) == (address.value & mask()); }
  constexpr Ipv4Address broadcast() const { return {address.value | ~mask()}; }
  std::string to_string() const;
  static std::expected<Ipv4Prefix, std::string> parse(std::string_view text);  // "10.77.0.2/24"
};

struct Port : Strong<struct PortTag, std::uint16_t> {
  using Strong::Strong;
};

struct Endpoint {
  Ipv4Address address;
  Port port;
  friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
  std::string to_string() const;  // "10.77.0.1:40000"
  static std::expected<Endpoint, std::string> parse(std::string_view text);
};

struct FourTuple {
  Endpoint local;
  Endpoint peer;
  friend constexpr auto operator<=>(const FourTuple&, const FourTuple&) = default;
  std::string to_string() const;  // "local <- peer"
};

}  // namespace holdfast::wire

template <>
struct std::hash<holdfast::wire::FourTuple> {
  std::size_t operator()(const holdfast::wire::FourTuple& t) const noexcept {
    // Not keyed: tables that a stranger can fill use the keyed PRF on top (tcp/demux.h).
    std::uint64_t x = (std::uint64_t{t.peer.address.value} << 32) | t.local.address.value;
    std::uint64_t y = (std::uint64_t{t.peer.port.value} << 16) | t.local.port.value;
    x ^= y * 0x9e3779b97f4a7c15ULL;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9ULL;
    return x ^ (x >> 32);
  }
};
