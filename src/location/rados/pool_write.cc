// Writing: blobs, batches, and the segments that come and go while the log runs.
#include <fmt/core.h>

#include <memory>
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"
#include "location/rados/errors.h"
#include "location/rados/pool.h"

namespace holdfast::location::rados {
namespace {

constexpr std::size_t kMostBlob = 1U << 20;

}  // namespace

Result<void> Pool::write_blob(const std::string& blob, Bytes content) {
  HF_ASSERT(owned_ && content.size() <= kMostBlob);
  ObjectWrite write = on_head();
  write.entries.emplace_back(blob_entry(blob), std::vector<std::byte>(content.begin(), content.end()));
  const Finished finished = ask(write);
  if (finished.outcome != Outcome::kDone) return wrong(finished, fmt::format("write blob {}", blob));
  head_.blobs[blob].assign(content.begin(), content.end());
  return {};
}

Result<void> Pool::remove_blob(const std::string& blob) {
  HF_ASSERT(owned_);
  ObjectWrite write = on_head();
  write.dropped_entries.push_back(blob_entry(blob));
  const Finished finished = ask(write);
  if (finished.outcome != Outcome::kDone) return wrong(finished, fmt::format("remove blob {}", blob));
  head_.blobs.erase(blob);
  return {};
}

Pool::Ended Pool::completion(Token token) {
  return [this, token](std::optional<Error> error) { finished_.push_back({token, std::move(error)}); };
}

// Changes to one segment or one blob are several operations, on different objects, or the same one twice where it was
// unknown what had become of it: two changes that overlap could leave what neither wants. So a segment that is still
// being removed is not made before it is gone.
void Pool::in_turn(const std::string& entry, Next begin) {
  if (HF_MUTANT(kPoolOutOfTurn)) return begin();
  const auto [at, first] = changing_.try_emplace(entry);
  if (first) {
    begin_change(entry, std::move(begin));
  } else {
    at->second.waiting.push_back(std::move(begin));
  }
}

void Pool::turn_over(const std::string& entry) {
  const auto found = changing_.find(entry);
  if (found == changing_.end()) return;
  if (found->second.beginning) {
    found->second.over = true;
  } else {
    begin_change(entry, {});
  }
}

// Where nothing is sent any more a change is over before it has begun: a loop, not a recursion.
void Pool::begin_change(const std::string& entry, Next next) {
  Change& change = changing_.at(entry);
  while (true) {
    if (!next) {
      if (change.waiting.empty()) break;
      next = std::move(change.waiting.front());
      change.waiting.pop_front();
    }
    change.beginning = true;
    change.over = false;
    std::exchange(next, {})();
    change.beginning = false;
    if (!change.over) return;
  }
  changing_.erase(entry);
}

// One step of a sequence, with the epoch asserted. After an error the sequence ends.
void Pool::step(ObjectWrite write, std::string what, Ended ended, Next next, bool tell_full,
                std::optional<Outcome> also_good) {
  writes_.begin(
      std::move(write),
      [this, what = std::move(what), ended = std::move(ended), next = std::move(next),
       also_good](const Finished& finished) {
        if (finished.outcome == Outcome::kGuard || finished.outcome == Outcome::kShutOut) fence_off(finished.outcome);
        if (finished.outcome != Outcome::kDone && finished.outcome != also_good) {
          return ended(error_of(finished, place_, what));
        }
        next();
      },
      tell_full);
}

void Pool::write(Token token, SegmentNumber segment, std::uint64_t offset, Bytes bytes) {
  HF_ASSERT(owned_ && !bytes.empty() && bytes.size() % kBlock == 0 && offset % kBlock == 0);
  ahead_.forget(segment, offset, bytes.size());
  ++in_flight_;
  ++writing_[segment.value];
  const Ended ended = completion(token);
  Next begin = [this, segment, offset, bytes, ended] {
    ObjectWrite write;
    write.object = segment_object(log_, segment);
    if (!HF_MUTANT(kPoolNoGuard)) write.epoch = epoch_;
    write.offset = offset;
    write.data = bytes;
    step(std::move(write), fmt::format("write to segment {}", segment.value), ended, [this, segment, ended] {
      wrote(segment);
      ended(std::nullopt);
    });
  };
  if (!at_rest(segment) || HF_MUTANT(kPoolWritesAsleep)) return begin();
  wake(segment, std::move(begin), ended);
}

ObjectWrite Pool::segment_entry_write(SegmentNumber segment, std::optional<SegmentEntry> entry) const {
  ObjectWrite write = on_head();
  const bool making = entry && entry->state == SegmentState::kMaking;
  if (entry) write.entries.emplace_back(making ? making_entry(segment) : segment_entry(segment), encode(*entry));
  if (!entry) write.dropped_entries.push_back(segment_entry(segment));
  if (!making) write.dropped_entries.push_back(making_entry(segment));
  return write;
}

void Pool::change(const std::string& entry, Ended ended, std::function<void(const Ended&)> begin) {
  in_turn(entry, [this, entry, ended = std::move(ended), begin = std::move(begin)] {
    begin([this, entry, ended](std::optional<Error> error) {
      turn_over(entry);
      ended(std::move(error));
    });
  });
}

void Pool::make_segment(SegmentNumber segment, std::uint64_t size, Ended ended) {
  change(segment_entry(segment), std::move(ended),
         [this, segment, size](const Ended& over) { make_now(segment, size, over); });
}

void Pool::remove_segment(SegmentNumber segment, Ended ended) {
  change(segment_entry(segment), std::move(ended), [this, segment](const Ended& over) { remove_now(segment, over); });
}

// An object that is there already. One with our epoch, or a higher one: our own attempt, whose answer was lost, or a
// successor's, who has the head as well, so that the next step says so.
void Pool::take_over_object(ObjectWrite write, const std::string& what, const Ended& ended, const Next& next) {
  const auto taken = [this, what, ended, next](const Finished& finished) {
    if (finished.outcome == Outcome::kDone || finished.outcome == Outcome::kGuard) return next();
    ended(error_of(finished, place_, what));
  };
  writes_.begin(std::move(write), taken, true);
}

// There was no room: what has come of the making goes again, the object before its name. None of the steps takes room.
// Where one fails, whoever takes the log next does it. First the name as one in use: an attempt of which nobody has
// heard may have got it there, before one for which there was no room.
void Pool::unmake(SegmentNumber segment, const Next& done) {
  const std::string what = fmt::format("take back segment {}", segment.value);
  const Ended give_up = [done](const std::optional<Error>&) { done(); };
  const Next forget = [this, segment, what, give_up, done] {
    step(segment_entry_write(segment, std::nullopt), what, give_up, done, true);
  };
  const Next remove_object = [this, segment, what, give_up, forget] {
    step(removal_of(segment), what, give_up, forget, true, Outcome::kAbsent);
  };
  ObjectWrite write = on_head();
  write.dropped_entries.push_back(segment_entry(segment));
  step(std::move(write), what, give_up, remove_object, true);
}

// Does nothing but where a seeded bug is planted: then once.
void Pool::raise_late() {
  if (!HF_MUTANT(kPoolFenceLate) || std::exchange(raised_late_, true)) return;
  for (const std::uint64_t segment : awake_) writes_.begin(raise_of(SegmentNumber{segment}), [](const Finished&) {});
}

// The head names it; its object is made; the head says that it is in use. A former owner's attempt may have left, or
// may yet make, an object of that name, to which nothing was ever written: it is taken over.
void Pool::make_now(SegmentNumber segment, std::uint64_t size, const Ended& over) {
  const Ended ended = [this, segment, over](std::optional<Error> error) {
    if (!error || error->kind != Error::Kind::kFull) return over(std::move(error));
    unmake(segment, [over, error = std::move(error)] { over(error); });
  };
  const std::string what = fmt::format("make segment {}", segment.value);
  ahead_.forget(segment);
  if (head_.segments.contains(segment.value)) {  // in use: it would be made empty
    return ended(Error{Error::Kind::kIo, fmt::format("{}: cannot {}: it is there", place_, what)});
  }
  const auto object = [this, segment, size](bool anew) {
    ObjectWrite write;
    write.object = segment_object(log_, segment);
    write.existence = anew ? ObjectWrite::Existence::kNew : ObjectWrite::Existence::kRequired;
    // Lower than ours: one that we have made already must not be made empty by this, however late it lands.
    if (!anew && !HF_MUTANT(kPoolMakesBlind)) write.epoch_at_most = epoch_ - 1;
    write.clear = !anew;
    write.attributes = {{kAttributeEpoch, encode_epoch(epoch_)}};
    write.size = size;
    return write;
  };
  const Next in_use = [this, segment, size, ended, what] {
    const SegmentEntry entry{SegmentState::kMade, size};
    const Next noted = [this, segment, entry, ended] {
      note(segment, entry);
      ended(std::nullopt);
    };
    if (HF_MUTANT(kPoolUsedUnnamed)) return noted();
    step(segment_entry_write(segment, entry), what, ended, noted, true);
  };
  const Next make_object = [this, object, in_use, ended, what] {
    const auto made = [this, object, in_use, ended, what](const Finished& finished) {
      if (finished.outcome == Outcome::kExists) return take_over_object(object(false), what, ended, in_use);
      if (finished.outcome != Outcome::kDone) return ended(error_of(finished, place_, what));
      in_use();
    };
    writes_.begin(object(true), made, true);
  };
  step(segment_entry_write(segment, SegmentEntry{SegmentState::kMaking, size}), what, ended, make_object, true);
}

// The head says so, its object goes, the head forgets it.
void Pool::remove_now(SegmentNumber segment, const Ended& ended) {
  const std::string what = fmt::format("remove segment {}", segment.value);
  ahead_.forget(segment);
  const std::uint64_t size = size_of(segment);
  note_gone(segment);
  const Next forget = [this, segment, what, ended] {
    step(segment_entry_write(segment, std::nullopt), what, ended, [ended] { ended(std::nullopt); });
  };
  const Next remove_object = [this, segment, what, ended, forget] {
    ObjectWrite write = removal_of(segment);
    if (HF_MUTANT(kPoolRemovesBlind)) write.epoch_at_most.reset();
    step(std::move(write), what, ended, forget, false, Outcome::kAbsent);
  };
  step(segment_entry_write(segment, SegmentEntry{SegmentState::kRemoving, size}), what, ended, remove_object);
}

void Pool::prepare(Token token, SegmentNumber segment, std::uint64_t size) {
  HF_ASSERT(owned_ && size > 0 && size % kBlock == 0);
  raise_late();
  ++in_flight_;
  make_segment(segment, size, completion(token));
}

void Pool::recycle(Token token, SegmentNumber from, SegmentNumber to) {
  HF_ASSERT(owned_);
  raise_late();
  ++in_flight_;
  const Ended ended = completion(token);
  const auto found = head_.segments.find(from.value);
  if (found == head_.segments.end()) {
    return ended(Error{Error::Kind::kIo, fmt::format("{}: no segment {}", place_, from.value)});
  }
  // The old one goes behind our back: left over, it would be an empty segment to the next owner as well.
  make_segment(to, found->second.size, [this, from, ended](std::optional<Error> error) {
    const bool made = !error;
    ended(std::move(error));
    if (made) remove_segment(from, [](const std::optional<Error>&) {});
  });
}

void Pool::remove(Token token, SegmentNumber segment) {
  HF_ASSERT(owned_);
  ++in_flight_;
  remove_segment(segment, completion(token));
}

void Pool::replace_blob(Token token, const std::string& blob, Bytes content) {
  HF_ASSERT(owned_ && content.size() <= kMostBlob);
  ++in_flight_;
  std::vector<std::byte> copy(content.begin(), content.end());
  ObjectWrite write = on_head();
  write.entries.emplace_back(blob_entry(blob), copy);
  change(blob_entry(blob), completion(token),
         [this, blob, write = std::move(write), copy = std::move(copy)](const Ended& over) {
           step(write, fmt::format("write blob {}", blob), over, [this, blob, over, copy] {
             head_.blobs[blob] = copy;
             over(std::nullopt);
           });
         });
}

}  // namespace holdfast::location::rados
