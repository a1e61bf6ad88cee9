#include "log/lost_segments.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>

#include "log/repair.h"

namespace holdfast::log {
namespace {

constexpr int kEpochsLookedAt = 64;  // for segments that no location has

}  // namespace

void LostSegments::restore(const std::vector<std::optional<SegmentNumber>>& spares) {
  Lacking lacking = compare(spares);
  if (lacking.empty()) return;
  const std::uint64_t gone = gone_everywhere(lacking);
  std::erase_if(lacking, [](const auto& entry) { return entry.second == 0; });
  leave_out_what_nobody_misses(lacking);
  for (std::size_t i = 0; i < spares.size(); ++i) {
    if (!spares[i]) continue;
    std::vector<SegmentNumber> lost;
    for (const auto& [number, who] : lacking) {
      if ((who & replica_bit(i)) != 0) lost.push_back(SegmentNumber{number});
    }
    if (!lost.empty() || gone > 0) restore(i, *spares[i], lost, gone);
  }
}

LostSegments::Lacking LostSegments::compare(const std::vector<std::optional<SegmentNumber>>& spares) const {
  Lacking lacking;
  for (const Source* source : chain_.sources()) {
    for (const std::uint64_t number : source->segments() | std::views::keys) {
      const bool kept = number >= chain_.first_kept().value && number < tail_.start.segment.value;
      if (kept && source->has(SegmentNumber{number})) lacking[number] = 0;
    }
  }
  for (auto& [number, who] : lacking) {
    for (std::size_t i = 0; i < spares.size(); ++i) {
      if (spares[i] && !chain_.sources()[i]->has(SegmentNumber{number})) who |= replica_bit(i);
    }
  }
  return lacking;
}

// How many segments of the chain are not among those that are there somewhere, from the first of these on. Looks only
// at the epochs of late: a start must not wait for a look at each there ever was.
std::uint64_t LostSegments::gone_everywhere(const Lacking& there) {
  const SegmentNumber oldest{there.begin()->first};
  for (int epochs = 0; epochs < kEpochsLookedAt; ++epochs) {
    const EpochRun& front = chain_.runs().front();
    if (front.first_segment <= oldest || front.previous.end_segment < chain_.first_kept()) break;
    if (front.previous.end_lsn.value == 0) break;
    const auto reached = chain_.extend_to(front.previous.end_segment);
    if (reached) continue;
    problem_ = reached.error().message;
    break;
  }
  std::uint64_t gone = problem_.empty() ? 0 : 1;
  for (const EpochRun& run : chain_.runs()) {
    const SegmentNumber tail = tail_.start.segment;
    const std::uint64_t end = std::min(run.closed ? run.end_segment + 1 : tail, tail).value;
    std::uint64_t next = std::max(run.first_segment, oldest).value;
    const auto note_gap = [&](std::uint64_t upto) {
      if (upto <= next) return;
      if (gone == 0) problem_ = fmt::format("no location has segment {}", next);
      gone += upto - next;
    };
    for (auto at = there.lower_bound(next); at != there.end() && at->first < end; ++at) {
      note_gap(at->first);
      next = at->first + 1;
    }
    note_gap(end);
  }
  return gone;
}

// Files of no run are an owner's that lost, or were prepared for one. Where the runs do not reach back far enough it
// cannot be told which are.
void LostSegments::leave_out_what_nobody_misses(Lacking& lacking) {
  if (lacking.empty()) return;
  const auto reached = chain_.extend_to(SegmentNumber{lacking.begin()->first});
  if (!reached) problem_ = reached.error().message;
  const std::uint64_t known_from = chain_.runs().front().first_segment.value;
  std::erase_if(lacking, [&](const auto& entry) {
    return chain_.run_of(SegmentNumber{entry.first}) == nullptr && (reached || entry.first > known_from);
  });
}

void LostSegments::restore(std::size_t source, SegmentNumber spare, const std::vector<SegmentNumber>& lost,
                           std::uint64_t gone) {
  Repair repair(chain_, key_, tail_);
  const std::string& name = chain_.sources()[source]->name();
  std::string problem = problem_;
  const std::uint64_t most = std::min<std::uint64_t>(lost.size(), left_ / key_.segment_size) * key_.segment_size;
  if (options_.on_copy && most >= kWorthTelling) options_.on_copy(name, most);
  std::uint64_t restored = 0;
  for (const SegmentNumber segment : lost) {
    if (chain_.run_of(segment) == nullptr) continue;
    if (left_ < key_.segment_size) {
      problem = "more than is copied at a start (--copy-limit)";
      break;
    }
    const auto done = repair.restore(source, segment, spare);
    if (!done) problem = done.error().message;
    // The location's own trouble, a full disk as a rule, is there with the next one too.
    if (!done && done.error().kind != Error::Kind::kCorrupt) break;
    restored += done ? 1 : 0;
    left_ -= key_.segment_size;
  }
  if (options_.on_lost_segments) options_.on_lost_segments(name, restored, lost.size() - restored + gone, problem);
}

}  // namespace holdfast::log
