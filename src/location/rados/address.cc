#include "location/rados/address.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace holdfast::location::rados {
namespace {

constexpr std::string_view kForm = "rados:POOL[/NAMESPACE][?conf=FILE][&id=NAME][&keyring=FILE][&log=NAME][&copies=N]";
constexpr std::size_t kMostName = 64;
constexpr unsigned kMostCopies = 16;

// Of a pool, a namespace, a client or a log: they become parts of names.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMostName && text.front() != '.' && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

std::unexpected<std::string> no_name(std::string_view what, std::string_view text) {
  return std::unexpected(
      fmt::format("\"{}\" is no {}: 1 to {} of a-z A-Z 0-9 . _ -, as in {}", text, what, kMostName, kForm));
}

}  // namespace

std::string Address::place() const {
  return fmt::format("{}{}{}{}{}", kScheme, pool, name_space.empty() ? "" : "/", name_space,
                     log == "log" ? "" : "?log=" + log);
}

bool is_log_name(std::string_view text) { return is_name(text); }

std::expected<Address, std::string> parse_address(std::string_view text) {
  if (!is_address(text)) return std::unexpected(fmt::format("\"{}\" is not {}", text, kForm));
  text.remove_prefix(kScheme.size());
  const auto question = text.find('?');
  const std::string_view path = text.substr(0, question);
  std::string_view rest = question == std::string_view::npos ? std::string_view() : text.substr(question + 1);

  Address address;
  const auto slash = path.find('/');
  address.pool = path.substr(0, slash);
  if (!is_name(address.pool)) return no_name("pool", address.pool);
  if (slash != std::string_view::npos) {
    address.name_space = path.substr(slash + 1);
    if (!is_name(address.name_space)) return no_name("namespace", address.name_space);
  }
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const std::string_view word = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    const auto equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
    if (key == "conf" || key == "keyring") {
      if (value.empty()) return std::unexpected(fmt::format("{} wants a file: {}", key, kForm));
      (key == "conf" ? address.conf : address.keyring) = value;
    } else if (key == "id" || key == "log") {
      if (!is_name(value)) return no_name(key == "id" ? "client's id" : "log's name", value);
      (key == "id" ? address.id : address.log) = value;
    } else if (key == "copies") {
      const auto [end_of_number, problem] = std::from_chars(value.data(), value.data() + value.size(), address.copies);
      const bool good = problem == std::errc() && end_of_number == value.data() + value.size();
      if (!good || address.copies < 1 || address.copies > kMostCopies) {
        return std::unexpected(fmt::format("copies=\"{}\": must be 1 to {}, as in {}", value, kMostCopies, kForm));
      }
    } else {
      return std::unexpected(fmt::format("\"{}\" is not known: {}", key, kForm));
    }
  }
  return address;
}

}  // namespace holdfast::location::rados
