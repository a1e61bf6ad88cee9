#include "log/rot.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>

namespace holdfast::log {
namespace {

// Of the first segment behind the end, this much is searched; of later ones the first block.
constexpr std::uint64_t kSearch = 8U << 20;

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

Result<void> check_for_rot(const std::vector<Source*>& sources, const LogKey& key, BatchPosition end, Lsn missing) {
  for (Source* source : sources) {
    std::optional<BatchHeader> later;
    if (end.offset > 0) later = find_later(*source, key, end.segment, end.offset, key.segment_size, missing);
    bool nearest = true;
    for (const std::uint64_t number : source->segments() | std::views::keys) {
      if (later) break;
      if (number <= end.segment.value) continue;
      later = find_later(*source, key, SegmentNumber{number}, 0, nearest ? kSearch : kBlock, missing);
      nearest = false;
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
