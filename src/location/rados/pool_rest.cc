// Segments at rest: what an owner is done with, the head says so, and then no later owner has to raise its epoch. A
// takeover takes as long as there are segments awake, not as long as the log is.
//
// What makes that safe: the owner whose epoch an object at rest carries has had an answer for each of its writes to it
// before it said so, and none goes there afterwards without the head saying "awake" first, under that owner's epoch.
// So whoever takes the log finds every segment awake that anything may still land in, but for a first attempt of a
// write that was done again after a time-out: it brings the bytes that are there already, for nothing else was written
// to that place under that epoch (the log writes no place twice in an epoch, but for what it gives the same bytes), and
// under a later one nothing is before the object's epoch has been raised, which ends that attempt too.
#include <fmt/core.h>

#include <utility>

#include "base/mutant.h"
#include "location/rados/pool.h"

namespace holdfast::location::rados {
namespace {

constexpr std::size_t kMostResting = 4;  // entries on their way to the head

}  // namespace

bool Pool::at_rest(SegmentNumber segment) const {
  const auto found = head_.segments.find(segment.value);
  return found != head_.segments.end() && found->second.state == SegmentState::kAtRest;
}

void Pool::note(SegmentNumber segment, const SegmentEntry& entry) {
  head_.segments[segment.value] = entry;
  if (entry.state == SegmentState::kMade) {
    awake_.insert(segment.value);
  } else {
    awake_.erase(segment.value);
  }
}

void Pool::note_gone(SegmentNumber segment) {
  head_.segments.erase(segment.value);
  awake_.erase(segment.value);
}

// The log goes up from segment to segment, and comes back to the one before for its footer: two are kept awake, and
// those that are prepared ahead. What else it writes to, it wakes for as long.
bool Pool::done_with(std::uint64_t segment) const {
  if (newest_written_ == 0 || segment >= newest_written_ || segment == written_before_) return false;
  return !writing_.contains(segment) || HF_MUTANT(kPoolRestsEarly);
}

// A write to this one has come to a good end. One that has not leaves its segment awake.
void Pool::wrote(SegmentNumber segment) {
  const auto found = writing_.find(segment.value);
  if (--found->second == 0) writing_.erase(found);
  if (segment.value > newest_written_) {
    written_before_ = newest_written_;
    newest_written_ = segment.value;
  }
  rest();
}

void Pool::rest() {
  for (auto at = awake_.begin(); at != awake_.end() && *at < newest_written_ && resting_ < kMostResting;) {
    const SegmentNumber segment{*at++};
    if (done_with(segment.value)) rest(segment);
  }
}

// From here on it counts as at rest: who would write to it wakes it, which comes after this.
void Pool::rest(SegmentNumber segment) {
  const SegmentEntry entry{SegmentState::kAtRest, size_of(segment)};
  note(segment, entry);
  ++resting_;
  const Ended ended = [this](const std::optional<Error>& error) {
    --resting_;
    if (!error) rest();
  };
  change(segment_entry(segment), ended, [this, segment, entry](const Ended& over) {
    if (!at_rest(segment)) return over(std::nullopt);  // removed meanwhile
    step(segment_entry_write(segment, entry), fmt::format("put segment {} at rest", segment.value), over,
         [over] { over(std::nullopt); });
  });
}

// Goes on once the head says that it is awake, and its object has our epoch.
void Pool::wake(SegmentNumber segment, Next next, Ended failed) {
  const auto [at, first] = waking_.try_emplace(segment.value);
  at->second.emplace_back(std::move(next), std::move(failed));
  if (!first) return;
  const Ended ended = [this, segment](const std::optional<Error>& error) {
    auto node = waking_.extract(segment.value);
    for (auto& [go_on, give_up] : node.mapped()) {
      if (error) {
        give_up(error);
      } else {
        go_on();
      }
    }
  };
  change(segment_entry(segment), ended, [this, segment](const Ended& over) {
    const std::string what = fmt::format("write to segment {}, which is at rest", segment.value);
    if (!at_rest(segment)) return over(Error{Error::Kind::kIo, fmt::format("{}: cannot {}: it is gone", place_, what)});
    const SegmentEntry entry{SegmentState::kMade, size_of(segment)};
    const Next awake = [this, segment, entry, over] {
      note(segment, entry);
      over(std::nullopt);
    };
    step(segment_entry_write(segment, entry), what, over,
         [this, segment, what, over, awake] { step(raise_of(segment), what, over, awake); });
  });
}

}  // namespace holdfast::location::rados
