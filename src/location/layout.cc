#include "location/layout.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace holdfast::location {
namespace {

constexpr std::string_view kSegmentPrefix = "segment-";
constexpr std::string_view kPreparingPrefix = "preparing-";
constexpr std::string_view kBlobSuffix = ".blob";
constexpr std::string_view kTemporarySuffix = ".blob.tmp";
constexpr std::size_t kDigits = 16;

std::optional<std::uint64_t> parse_number(std::string_view digits) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (digits.size() != kDigits || !std::ranges::all_of(digits, is_digit)) return std::nullopt;
  std::uint64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return value;
}

}  // namespace

std::string segment_file(SegmentNumber segment) { return fmt::format("{}{:016x}", kSegmentPrefix, segment.value); }
std::string preparing_file(SegmentNumber segment) { return fmt::format("{}{:016x}", kPreparingPrefix, segment.value); }

std::optional<SegmentNumber> parse_segment_file(std::string_view name) {
  if (!name.starts_with(kSegmentPrefix)) return std::nullopt;
  const auto number = parse_number(name.substr(kSegmentPrefix.size()));
  if (!number) return std::nullopt;
  return SegmentNumber{*number};
}

bool is_blob_name(std::string_view blob) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !blob.empty() && blob.size() <= 64 && blob[0] != '.' && std::ranges::all_of(blob, allowed);
}

std::string blob_file(std::string_view blob) { return fmt::format("{}{}", blob, kBlobSuffix); }
std::string blob_temporary_file(std::string_view blob) { return fmt::format("{}{}", blob, kTemporarySuffix); }

std::optional<std::string> parse_blob_file(std::string_view name) {
  if (!name.ends_with(kBlobSuffix)) return std::nullopt;
  const std::string_view blob = name.substr(0, name.size() - kBlobSuffix.size());
  if (!is_blob_name(blob)) return std::nullopt;
  return std::string(blob);
}

bool is_leftover(std::string_view name) {
  return name.starts_with(kPreparingPrefix) && parse_number(name.substr(kPreparingPrefix.size())).has_value();
}

bool is_ours(std::string_view name) {
  const bool spare =
      name.ends_with(kTemporarySuffix) && is_blob_name(name.substr(0, name.size() - kTemporarySuffix.size()));
  return spare || name == kLockFile || parse_segment_file(name) || parse_blob_file(name) || is_leftover(name);
}

}  // namespace holdfast::location
