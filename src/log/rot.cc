#include "log/rot.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>

namespace holdfast::log {
namespace {

// The first batch in [from, to) of this segment that was issued when `missing` was durable.
std::optional<BatchHeader> find_later(Source& source, const LogKey& key, SegmentNumber segment, std::uint64_t from,
                                      std::uint64_t to, Lsn missing) {
  for (std::uint64_t offset = from; offset < std::min(to, key.segment_size); offset += kBlock) {
    const auto header = source.header_at({segment, static_cast<std::uint32_t>(offset)}, to - from > kBlock);
    if (header && header->durable >= missing) return header;
  }
  return std::nullopt;
}

}  // namespace

Result<void> check_for_rot(const std::vector<Source*>& sources, const LogKey& key, BatchPosition end, Lsn missing,
                           std::uint64_t reach) {
  for (Source* source : sources) {
    std::optional<BatchHeader> later;
    std::uint64_t left = std::max<std::uint64_t>(reach, kBlock);
    if (end.offset > 0) {
      later = find_later(*source, key, end.segment, end.offset, end.offset + left, missing);
      left -= std::min(left, key.segment_size - std::min<std::uint64_t>(end.offset, key.segment_size));
    }
    for (const std::uint64_t number : source->segments() | std::views::keys) {
      if (later) break;
      if (number <= end.segment.value) continue;
      later = find_later(*source, key, SegmentNumber{number}, 0, std::max<std::uint64_t>(left, kBlock), missing);
      left -= std::min(left, key.segment_size);
    }
    if (!later) continue;
    return fail(
        Error::Kind::kCorrupt,
        fmt::format("{}: the batch with LSN {} should follow segment {} offset {} and was stored (segment {} offset "
                    "{} proves it), but no location has a good copy of it{}",
                    source->name(), missing.value, end.segment.value, end.offset, later->at.segment.value,
                    later->at.offset,
                    source->last_problem().empty() ? "" : fmt::format(" ({})", source->last_problem())));
  }
  return {};
}

}  // namespace holdfast::log
