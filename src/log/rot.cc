#include "log/rot.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>

namespace holdfast::log {
namespace {

class Search {
 public:
  Search(Source& source, const LogKey& key, Lsn missing, std::uint64_t reach)
      : source_(source), key_(key), missing_(missing), reach_(reach), left_(reach) {}

  // The first batch of this segment, from `from` on, that was issued when `missing` was durable.
  std::optional<BatchHeader> find(SegmentNumber segment, std::uint64_t from) {
    left_ = std::max<std::uint64_t>(left_, kBlock);
    // Its first block is not blank, whatever it is now: the batch there may be the rotten one.
    if (from == 0 && !source_.is_blank({segment, 0})) left_ = reach_;
    for (std::uint64_t offset = from; left_ > 0 && offset < key_.segment_size; offset += kBlock) {
      const auto header = source_.header_at({segment, static_cast<std::uint32_t>(offset)}, left_ > kBlock);
      if (header && header->durable >= missing_) return header;
      // One that was under way together with it: the next may lie as far behind that.
      left_ = header && header->lsn > missing_ ? reach_ : left_ - std::min<std::uint64_t>(left_, kBlock);
    }
    return std::nullopt;
  }

 private:
  Source& source_;
  const LogKey& key_;
  Lsn missing_;
  std::uint64_t reach_, left_;
};

}  // namespace

Result<void> check_for_rot(const std::vector<Source*>& sources, const LogKey& key, BatchPosition end, Lsn missing,
                           std::uint64_t reach) {
  for (Source* source : sources) {
    std::optional<BatchHeader> later;
    Search search(*source, key, missing, reach);
    if (end.offset > 0) later = search.find(end.segment, end.offset);
    for (const std::uint64_t number : source->segments() | std::views::keys) {
      if (later) break;
      if (number < end.segment.value || (number == end.segment.value && end.offset > 0)) continue;
      later = search.find(SegmentNumber{number}, 0);
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
