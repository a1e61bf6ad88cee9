#include "wire/address.h"

#include <fmt/core.h>

#include <charconv>
#include <optional>

namespace holdfast::wire {
namespace {

std::unexpected<std::string> bad(std::string_view what, std::string_view text, std::string_view example) {
  return std::unexpected(fmt::format("\"{}\" is not {}, e.g. {}", text, what, example));
}

// The whole of `text` as a decimal number of at most `limit`, without sign; leading zeros only as "0" itself, because
// some readers take them for octal.
std::optional<std::uint32_t> decimal(std::string_view text, std::uint32_t limit) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value > limit) return std::nullopt;
  return value;
}

}  // namespace

std::string MacAddress::to_string() const {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", octets[0], octets[1], octets[2], octets[3], octets[4],
                     octets[5]);
}

std::expected<MacAddress, std::string> MacAddress::parse(std::string_view text) {
  const auto error = [text] { return bad("a MAC address", text, "02:00:00:00:00:01"); };
  if (text.size() != 17) return error();
  MacAddress mac;
  for (std::size_t i = 0; i < 6; ++i) {
    const char* at = text.data() + 3 * i;
    const auto [stop, status] = std::from_chars(at, at + 2, mac.octets[i], 16);
    if (status != std::errc{} || stop != at + 2) return error();
    if (i < 5 && at[2] != ':') return error();
  }
  return mac;
}

std::string Ipv4Address::to_string() const {
  return fmt::format("{}.{}.{}.{}", value >> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff);
}

std::expected<Ipv4Address, std::string> Ipv4Address::parse(std::string_view text) {
  const auto error = [text] { return bad("an IPv4 address", text, "10.77.0.2"); };
  std::uint32_t value = 0;
  std::string_view rest = text;
  for (int i = 0; i < 4; ++i) {
    const std::size_t dot = i < 3 ? rest.find('.') : rest.size();
    if (dot == std::string_view::npos) return error();
    const auto octet = decimal(rest.substr(0, dot), 255);
    if (!octet) return error();
    value = value << 8 | *octet;
    rest.remove_prefix(i < 3 ? dot + 1 : dot);
  }
  return Ipv4Address{value};
}

std::string Ipv4Prefix::to_string() const { return fmt::format("{}/{}", address.to_string(), length); }

std::expected<Ipv4Prefix, std::string> Ipv4Prefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto address = Ipv4Address::parse(text.substr(0, slash));
    const auto length = decimal(text.substr(slash + 1), 32);
    if (address && length) return Ipv4Prefix{*address, static_cast<std::uint8_t>(*length)};
  }
  return bad("an address with a prefix length", text, "10.77.0.2/24");
}

std::string Endpoint::to_string() const { return fmt::format("{}:{}", address.to_string(), port.value); }

std::expected<Endpoint, std::string> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const auto address = Ipv4Address::parse(text.substr(0, colon));
    const auto port = decimal(text.substr(colon + 1), 65535);
    if (address && port) return Endpoint{*address, Port{static_cast<std::uint16_t>(*port)}};
  }
  return bad("an address and a port", text, "10.77.0.1:40000");
}

std::string FourTuple::to_string() const { return fmt::format("{} <- {}", local.to_string(), peer.to_string()); }

}  // namespace holdfast::wire
