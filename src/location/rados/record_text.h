// What records that lie in a cluster as text are read with: lines of "key=value", hostile until checked.
//
// Pure functions.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::location::rados {

// The whole text is a number to this base, or it is none.
template <class Number = std::uint64_t>
std::optional<Number> number_in(std::string_view text, int base = 10) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// It may be shown to people.
inline bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

// Calls `take(key, value)` for each line; false where a line has no '=', or `take` says so.
template <class Take>
bool each_line(std::string_view text, Take&& take) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || !take(line.substr(0, equals), line.substr(equals + 1))) return false;
  }
  return true;
}

}  // namespace holdfast::location::rados
