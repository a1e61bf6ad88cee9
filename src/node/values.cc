#include "node/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <utility>

#include "node/handshake_values.h"

namespace holdfast::node {
namespace {

constexpr std::size_t kMaxInterfaceName = 15;  // IFNAMSIZ - 1

Parsed<std::uint64_t> leading_number(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::unexpected("is not a number");
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

Parsed<std::uint64_t> within(std::uint64_t value, std::uint64_t low, std::uint64_t high) {
  if (value < low || value > high) return std::unexpected(fmt::format("must be within {}..{}", low, high));
  return value;
}

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 4> kTimeUnits{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};

// In the largest unit that leaves no fraction, as it could be given: "100ms", "0s", "1h".
std::string human_duration(Duration duration) {
  const auto ms = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
  if (ms == 0) return "0s";
  const auto unit = std::find_if(kTimeUnits.rbegin(), kTimeUnits.rend(), [ms](auto u) { return ms % u.second == 0; });
  return fmt::format("{}{}", ms / unit->second, unit->first);
}

bool is_interface_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxInterfaceName || name == "." || name == "..") return false;
  for (const char c : name) {
    if (c <= ' ' || c == '/' || c == ':' || c == '%' || c == 127) return false;
  }
  return true;
}

Parsed<void> parse_link_option(std::string_view option, LinkAddress& link) {
  const auto equals = option.find('=');
  const auto key = option.substr(0, equals);
  const auto value = equals == std::string_view::npos ? std::string_view{} : option.substr(equals + 1);
  if (key == "mac") {
    auto mac = wire::MacAddress::parse(value);
    if (!mac || mac->is_multicast() || *mac == wire::MacAddress{}) {
      return std::unexpected(fmt::format("mac={} is no unicast MAC address, such as 02:00:00:00:00:01", value));
    }
    link.mac = *mac;
    return {};
  }
  if (key == "mtu") {
    auto mtu = parse_number(value, 576, 65535);
    if (!mtu) return std::unexpected(fmt::format("mtu={} {}", value, mtu.error()));
    link.mtu = static_cast<std::uint16_t>(*mtu);
    return {};
  }
  return std::unexpected(fmt::format("option '{}' is unknown: there are mac= and mtu=", key));
}

}  // namespace

Parsed<LinkAddress> parse_link(std::string_view text) {
  constexpr std::string_view kTap = "tap:";
  if (!text.starts_with(kTap)) return std::unexpected("must be tap:NAME, with mac= and mtu= behind commas");
  text.remove_prefix(kTap.size());
  LinkAddress link;
  auto comma = text.find(',');
  link.device = text.substr(0, comma);
  if (!is_interface_name(link.device)) {
    return std::unexpected(
        fmt::format("'{}' is no interface name (1 to {} bytes, no '/', ':' or blank)", link.device, kMaxInterfaceName));
  }
  while (comma != std::string_view::npos) {
    text.remove_prefix(comma + 1);
    comma = text.find(',');
    if (auto done = parse_link_option(text.substr(0, comma), link); !done) return std::unexpected(done.error());
  }
  return link;
}

Parsed<stack::Service> parse_service(std::string_view text) {
  const auto colon = text.find(':');
  const auto kind = text.substr(0, colon);
  stack::Service service;
  if (kind == "store") {
    service.kind = stack::ServiceKind::kStore;
  } else if (kind == "echo") {
    service.kind = stack::ServiceKind::kEcho;
  } else {
    return std::unexpected("must be store:PORT or echo:PORT");
  }
  if (colon == std::string_view::npos) return std::unexpected("lacks a port, as in store:7000");
  text.remove_prefix(colon + 1);
  auto comma = text.find(',');
  auto port = parse_number(text.substr(0, comma), 1, 65535);
  if (!port) return std::unexpected(fmt::format("has a port that {}", port.error()));
  service.port = wire::Port{static_cast<std::uint16_t>(*port)};
  WaysOptions options(service.ways);
  while (comma != std::string_view::npos) {
    text.remove_prefix(comma + 1);
    comma = text.find(',');
    if (auto done = options.take(text.substr(0, comma)); !done) return std::unexpected(done.error());
  }
  if (auto sane = options.check(); !sane) return std::unexpected(sane.error());
  return service;
}

Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t low, std::uint64_t high) {
  auto value = leading_number(text);
  if (!value) return value;
  if (!text.empty()) return std::unexpected("is not a number");
  return within(*value, low, high);
}

Parsed<std::uint64_t> parse_size(std::string_view text, std::uint64_t low, std::uint64_t high) {
  constexpr std::array<std::pair<std::string_view, unsigned>, 14> kSuffixes{{{"", 0},
                                                                             {"B", 0},
                                                                             {"K", 10},
                                                                             {"KB", 10},
                                                                             {"KiB", 10},
                                                                             {"M", 20},
                                                                             {"MB", 20},
                                                                             {"MiB", 20},
                                                                             {"G", 30},
                                                                             {"GB", 30},
                                                                             {"GiB", 30},
                                                                             {"T", 40},
                                                                             {"TB", 40},
                                                                             {"TiB", 40}}};
  auto value = leading_number(text);
  if (!value) return std::unexpected("is not a size, such as 64K, 32MiB or 2G");
  for (const auto& [suffix, shift] : kSuffixes) {
    if (text != suffix) continue;
    if (*value > (~std::uint64_t{0} >> shift) || (*value << shift) < low || (*value << shift) > high) {
      return std::unexpected(fmt::format("must be within {}..{}", human_size(low), human_size(high)));
    }
    return *value << shift;
  }
  return std::unexpected("is not a size, such as 64K, 32MiB or 2G");
}

Parsed<Duration> parse_duration(std::string_view text, Duration low, Duration high) {
  using std::chrono::milliseconds;
  if (text.starts_with('-') && parse_duration(text.substr(1), Duration::min(), Duration::max())) {
    return std::unexpected("must not be negative");
  }
  if (text == "0") text = "0ms";
  auto value = leading_number(text);
  if (!value) return std::unexpected("is not a duration, such as 500ms or 2s");
  if (text.empty()) return std::unexpected(fmt::format("lacks a unit, as in {0}s or {0}ms", *value));
  for (const auto& [unit, factor] : kTimeUnits) {
    if (text != unit) continue;
    const auto most = static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(high).count());
    if (*value <= most / factor) {
      const Duration duration = milliseconds(*value * factor);
      if (duration >= low) return duration;
    }
    return std::unexpected(fmt::format("must be within {}..{}", human_duration(low), human_duration(high)));
  }
  return std::unexpected("is not a duration, such as 500ms or 2s");
}

Parsed<bool> parse_bool(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::unexpected("must be true or false");
}

wire::MacAddress default_mac(wire::Ipv4Address address) {
  const auto octet = [&](unsigned shift) { return static_cast<std::uint8_t>(address.value >> shift); };
  return {{0x02, 0x00, octet(24), octet(16), octet(8), octet(0)}};
}

wire::MacAddress group_mac(std::string_view identity) {
  wire::MacAddress mac{{0x06, 0, 0, 0, 0, 0}};
  std::uint64_t value = 0;
  std::from_chars(identity.data(), identity.data() + identity.size(), value, 16);
  for (std::size_t i = 1; i < mac.octets.size(); ++i) mac.octets[i] = static_cast<std::uint8_t>(value >> (8 * i));
  return mac;
}

std::string human_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 7> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string iso_time(std::uint64_t wall_clock) {
  const auto seconds = static_cast<std::time_t>(wall_clock / 1'000'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, wall_clock % 1'000'000'000 / 1000);
}

}  // namespace holdfast::node
