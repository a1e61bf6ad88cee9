// Values as people write them on a command line or in a configuration file. A failure says what would have been right;
// the caller adds which flag or key it was.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/units.h"
#include "stack/engine.h"
#include "wire/address.h"

namespace holdfast::node {

template <class T>
using Parsed = std::expected<T, std::string>;

// "tap:NAME[,mac=02:00:00:00:00:01][,mtu=1500]"
struct LinkAddress {
  std::string device;                   // a network interface's name: 1..15 bytes
  std::optional<wire::MacAddress> mac;  // the node's own; unicast
  std::uint16_t mtu = 1500;             // 576..65535
};
Parsed<LinkAddress> parse_link(std::string_view text);

// "store:7000", "echo:7", "store:7000,ways=5..8,policy=strict,roll-call-timeout=1s"
Parsed<stack::Service> parse_service(std::string_view text);

// A decimal number within [low, high].
Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t low, std::uint64_t high);
// Bytes: "4096", "64K", "32MiB", "2G": suffixes are powers of 1024.
Parsed<std::uint64_t> parse_size(std::string_view text, std::uint64_t low, std::uint64_t high);
// "500ms", "2s", "1m"; "0", which is the same in every unit.
Parsed<Duration> parse_duration(std::string_view text, Duration low, Duration high);
// "true" or "false"
Parsed<bool> parse_bool(std::string_view text);

// The node's MAC where none is given: locally administered, the same at every start (peers have it in their caches),
// different for each address on a link.
wire::MacAddress default_mac(wire::Ipv4Address address);
// That of a node of a service group: locally administered, the same for all of this node's processes (`identity`:
// hexadecimal digits), different from other nodes'.
wire::MacAddress group_mac(std::string_view identity);

// "1.5 GiB"
std::string human_size(std::uint64_t bytes);
// "2026-11-23T08:31:00.123456Z" from nanoseconds since 1970.
std::string iso_time(std::uint64_t wall_clock);

}  // namespace holdfast::node
