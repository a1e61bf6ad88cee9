#include "location/rados/pool.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"
#include "location/rados/errors.h"

namespace holdfast::location::rados {
namespace {

constexpr std::size_t kMostRaising = 64;  // segments' epochs on their way to be raised
constexpr std::size_t kMostRenewals = 8;  // on their way
constexpr std::size_t kMostBlob = 1U << 20;
constexpr Duration kRecoveryTime = std::chrono::seconds(10);  // after that what was read is not needed again

}  // namespace

Pool::Pool(std::string place, std::string log, std::unique_ptr<ObjectStore> store, Self self)
    : place_(std::move(place)),
      log_(std::move(log)),
      head_name_(head_object(log_)),
      store_(std::move(store)),
      self_(std::move(self)),
      lease_(self_.lease),
      writes_(*store_, kSettled) {
  HF_ASSERT(!self_.identity.empty());
}

Pool::~Pool() {
  if (owned_ && !fenced_ && writes_.idle()) (void)release();
}

std::unexpected<Error> Pool::wrong(const Finished& finished, std::string_view what) const {
  return std::unexpected(error_of(finished, place_, what));
}

// ---- One operation at a time ----

Finished Pool::ask(const ObjectRead& read) {
  const std::uint64_t tag = next_tag_++ << 3 | kAnswer;
  answers_[tag];
  store_->submit(tag, read);
  return await(tag);
}

Finished Pool::ask(const ObjectWrite& write) {
  const std::uint64_t tag = next_tag_++ << 3 | kAnswer;
  answers_[tag];
  store_->submit(tag, write);
  return await(tag);
}

Finished Pool::await(std::uint64_t tag) {
  while (!answers_.at(tag)) {
    store_->wait(due());
    work();
  }
  Finished finished = *std::move(answers_.at(tag));
  answers_.erase(tag);
  return finished;
}

// Takes what has ended, and begins what is due.
void Pool::work() {
  for (Finished& finished : store_->take()) {
    switch (static_cast<Kind>(finished.tag & 7U)) {
      case kSettled:
        writes_.finished(finished);
        break;
      case kRenewal:
        renewal_ended(finished);
        break;
      case kAnswer:
        answers_.at(finished.tag) = std::move(finished);
        break;
      case kPiece: {
        const auto node = pieces_.extract(finished.tag);
        const ReadAhead::Piece& piece = node.mapped();
        // A short one is read again by itself, which tells what is wrong.
        const bool good = finished.outcome == Outcome::kDone && finished.data.size() == size_of(piece);
        ahead_.came(piece, finished.tag, good ? std::optional(std::move(finished.data)) : std::nullopt);
        break;
      }
    }
  }
  tick(store_->now());
}

void Pool::tick(Time now) {
  writes_.tick(now);
  if (now >= forget_at_) {
    ahead_.clear();
    forget_at_ = kNever;
  }
  if (epoch_ != 0 && !fenced_) {
    if (now >= lease_.due()) renew(now);
    lapsed_ = owned_ && !lease_.good(now);
  }
  store_->wake_at(due());
}

// Only an owner has something to renew: a time that has gone by is nothing to wait for.
Time Pool::due() const { return std::min(epoch_ != 0 && !fenced_ ? lease_.due() : kNever, writes_.wake_at()); }

// ---- Ownership ----

Owner Pool::owner_record(Owner::State state) const {
  Owner owner;
  owner.state = state;
  owner.identity = self_.identity;
  owner.host = self_.host;
  owner.process = self_.process;
  owner.client = store_->client_address();
  owner.mac = self_.mac;
  owner.lease = static_cast<std::uint64_t>(self_.lease.count());
  owner.renewal = renewal_;
  return owner;
}

ObjectWrite Pool::on_head() const {
  ObjectWrite write;
  write.object = head_name_;
  if (!HF_MUTANT(kPoolHeadUnguarded)) write.epoch = epoch_;
  return write;
}

Result<Head> Pool::look() {
  ObjectRead read;
  read.object = head_name_;
  read.attributes = read.entries = true;
  const Finished finished = ask(read);
  if (finished.outcome == Outcome::kAbsent) return Head();
  if (finished.outcome != Outcome::kDone) return wrong(finished, "read the log's head");
  return decode_head(finished, place_);
}

Result<bool> Pool::take(const Head& seen) {
  HF_ASSERT(!owned_);
  const std::uint64_t epoch = seen.epoch + 1;
  renewal_ = 0;
  writes_.begin_anew();  // an attempt before this one may have been given up
  ObjectWrite write;
  write.object = head_name_;
  if (seen.epoch == 0) {
    write.existence = ObjectWrite::Existence::kNew;
  } else if (!HF_MUTANT(kPoolTakesBlind)) {
    write.epoch = seen.epoch;
  }
  write.attributes = {{kAttributeEpoch, encode_epoch(epoch)},
                      {kAttributeOwner, encode(owner_record(Owner::State::kActive))}};
  const Time begun = store_->now();
  const Finished taken = ask(write);
  if (taken.outcome == Outcome::kGuard || taken.outcome == Outcome::kExists) return false;
  if (taken.outcome != Outcome::kDone) return wrong(taken, "take the log");
  epoch_ = epoch;
  lease_.begin(begun);
  forget_at_ = begun + kRecoveryTime;
  ahead_.clear();  // of an earlier time as owner: others may have written since
  auto fenced_off = fence_off_others(seen);
  if (!fenced_off || !*fenced_off) {
    epoch_ = 0;  // nothing to renew: what we have not fenced off is not ours
    fenced_ = false;
    return fenced_off;
  }
  const bool from_another =
      seen.owner && seen.owner->state == Owner::State::kActive && seen.owner->identity != self_.identity;
  if (from_another && !seen.owner->client.empty()) store_->shut_out(seen.owner->client);
  // An attempt that was under way when its owner died: its object was never used, and never will be.
  std::vector<SegmentNumber> unfinished;
  for (const auto& [number, entry] : head_.segments) {
    if (entry.state != SegmentState::kMade) unfinished.push_back(SegmentNumber{number});
  }
  owned_ = true;
  // Nobody waits for it.
  for (const SegmentNumber segment : unfinished) remove_segment(segment, [](const std::optional<Error>&) {});
  return true;
}

Result<bool> Pool::fence_off_others(const Head& seen) {
  if (HF_MUTANT(kPoolLooksBefore)) {
    head_ = seen;
    head_.epoch = epoch_;
    return raise_segments();
  }
  // What the head lists now can grow no more by an older owner's hand.
  auto head = look();
  if (!head) return std::unexpected(head.error());
  if (head->epoch != epoch_) return false;
  head_ = *std::move(head);
  return raise_segments();
}

Result<bool> Pool::raise_segments() {
  if (HF_MUTANT(kPoolNoFence)) return true;
  std::vector<SegmentNumber> lost;
  std::optional<Finished> problem;
  std::size_t on_their_way = 0;
  for (const auto& [number, entry] : head_.segments) {
    if (entry.state != SegmentState::kMade) continue;
    const SegmentNumber segment{number};
    ObjectWrite write;
    write.object = segment_object(log_, segment);
    write.epoch_at_most = epoch_;
    write.attributes = {{kAttributeEpoch, encode_epoch(epoch_)}};
    if (HF_MUTANT(kPoolFenceUnawaited)) {
      writes_.begin(std::move(write), [](const Finished&) {});
      continue;
    }
    ++on_their_way;
    writes_.begin(std::move(write), [&, segment](const Finished& finished) {
      --on_their_way;
      if (finished.outcome == Outcome::kAbsent) {
        lost.push_back(segment);
      } else if (finished.outcome != Outcome::kDone) {
        problem = finished;
      }
    });
    while (on_their_way >= kMostRaising) wait();
  }
  while (on_their_way > 0) wait();
  for (const SegmentNumber segment : lost) head_.segments.erase(segment.value);
  if (fenced_ || (problem && problem->outcome == Outcome::kGuard)) return false;
  if (problem) return wrong(*problem, "fence off the former owner");
  return true;
}

void Pool::renew(Time now) {
  lease_.began_renewal(now);
  if (renewals_.size() >= kMostRenewals) return;
  ++renewal_;
  ObjectWrite write = on_head();
  write.attributes = {{kAttributeOwner, encode(owner_record(Owner::State::kActive))}};
  const std::uint64_t tag = next_tag_++ << 3 | kRenewal;
  renewals_[tag] = {epoch_, now};
  store_->submit(tag, write);
}

void Pool::renewal_ended(const Finished& finished) {
  const auto found = renewals_.find(finished.tag);
  HF_ASSERT(found != renewals_.end());
  const auto [epoch, begun] = found->second;
  renewals_.erase(found);
  if (epoch != epoch_) return;  // given back or given up meanwhile
  switch (finished.outcome) {
    case Outcome::kDone:
      lease_.renewed(begun);
      break;
    case Outcome::kGuard:
    case Outcome::kAbsent:
    case Outcome::kShutOut:
      fence_off(finished.outcome);
      break;
    default:
      break;  // the next one may come through
  }
}

void Pool::fence_off(Outcome outcome) {
  if (fenced_) return;
  fenced_ = true;
  fenced_by_ = outcome;
  lapsed_ = false;
  writes_.give_up(outcome);
}

Result<void> Pool::release() {
  if (!owned_ || fenced_) return {};
  if (!writes_.idle()) return fail(Error::Kind::kBusy, fmt::format("{}: writes are on their way", place_));
  ObjectWrite write = on_head();
  write.attributes = {{kAttributeOwner, encode(owner_record(Owner::State::kReleased))}};
  owned_ = false;
  epoch_ = 0;  // a renewal begun now would take the log once more
  const Finished finished = ask(write);
  store_->notify(head_name_);
  if (finished.outcome != Outcome::kDone) return wrong(finished, "give the log back");
  return {};
}

Result<bool> Pool::ask_for(const Head& seen) {
  ObjectWrite write;
  write.object = head_name_;
  write.epoch = seen.epoch;
  write.attributes = {{kAttributeHandover, encode_epoch(seen.epoch)}};
  const Finished finished = ask(write);
  if (finished.outcome == Outcome::kGuard) return false;
  if (finished.outcome != Outcome::kDone) return wrong(finished, "ask for the log");
  store_->notify(head_name_);
  return true;
}

bool Pool::may_take(const Head& seen, Time asked) {
  const bool ours = seen.owner && seen.owner->identity == self_.identity;
  return watch_.free(seen, asked, store_->now()) || ours;
}

Result<void> Pool::lock(Duration bound) {
  if (fenced_) return fail(Error::Kind::kBusy, fmt::format("{}: another node has taken this log over", place_));
  const Time give_up = store_->now() + bound;
  while (!owned_) {
    const Time asked = store_->now();
    auto seen = look();
    if (!seen) return std::unexpected(seen.error());
    if (may_take(*seen, asked)) {
      auto taken = take(*seen);
      if (!taken) return std::unexpected(taken.error());
      continue;
    }
    const Time now = store_->now();
    if (now >= give_up && watch_.renews()) {
      return fail(Error::Kind::kBusy, fmt::format("{}: in use by another node ({})", place_, describe(*seen->owner)));
    }
    const Time next = now + LeaseWatch::lease_of(*seen->owner) / 10;
    while (store_->now() < next) {
      store_->wait(next);
      work();
    }
  }
  return {};
}

bool Pool::has_owner() const { return owned_ && !fenced_; }

// ---- Reading ----

Result<std::vector<SegmentInfo>> Pool::segments() {
  std::vector<SegmentInfo> segments;
  for (const auto& [number, entry] : head_.segments) {
    if (entry.state == SegmentState::kMade) segments.push_back({SegmentNumber{number}, entry.size});
  }
  return segments;
}

Result<void> Pool::read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) {
  const auto entry = head_.segments.find(segment.value);
  const std::uint64_t size = entry == head_.segments.end() ? 0 : entry->second.size;
  const ReadAhead::Piece first{segment, offset / ReadAhead::kPiece};
  const bool worthwhile = into.size() > ReadAhead::kPiece / 2 || !ahead_.lacks(first);
  if (!worthwhile || offset + into.size() > size) {
    ObjectRead read;
    read.object = segment_object(log_, segment);
    read.offset = offset;
    read.length = into.size();
    return copy_data(ask(read), into, place_, segment);
  }
  const std::uint64_t last = (offset + into.size() - 1) / ReadAhead::kPiece;
  const std::uint64_t end = std::min((size + ReadAhead::kPiece - 1) / ReadAhead::kPiece, last + 1 + ReadAhead::kAhead);
  for (std::uint64_t index = first.index; index < end; ++index) ask_for_piece({segment, index});
  for (std::uint64_t index = first.index; index <= last; ++index) {
    const auto got = piece({segment, index});
    if (!got.has_value()) return std::unexpected(got.error());
    const std::uint64_t begin = index * ReadAhead::kPiece;
    const std::uint64_t from = std::max(begin, offset), to = std::min(begin + (*got)->size(), offset + into.size());
    std::ranges::copy(Bytes(**got).subspan(from - begin, to - from),
                      into.begin() + static_cast<std::ptrdiff_t>(from - offset));
  }
  return {};
}

// Nothing of a segment that is none of the log's any more.
std::size_t Pool::size_of(const ReadAhead::Piece& piece) const {
  const auto entry = head_.segments.find(piece.segment.value);
  const std::uint64_t size = entry == head_.segments.end() ? 0 : entry->second.size;
  const std::uint64_t begin = piece.index * ReadAhead::kPiece;
  return size <= begin ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(ReadAhead::kPiece, size - begin));
}

void Pool::ask_for_piece(const ReadAhead::Piece& wanted) {
  if (!ahead_.lacks(wanted)) return;
  const std::uint64_t begin = wanted.index * ReadAhead::kPiece;
  ObjectRead read;
  read.object = segment_object(log_, wanted.segment);
  read.offset = begin;
  read.length = size_of(wanted);
  const std::uint64_t tag = next_tag_++ << 3 | kPiece;
  ahead_.asked_for(wanted, tag);
  pieces_[tag] = wanted;
  store_->submit(tag, read);
}

// One that was asked for, waited for. One that did not come is read by itself, for the reason.
Result<const std::vector<std::byte>*> Pool::piece(const ReadAhead::Piece& wanted) {
  while (true) {
    if (const auto* const bytes = ahead_.find(wanted)) return bytes;
    if (ahead_.lacks(wanted)) break;
    store_->wait(due());
    work();
  }
  const std::uint64_t begin = wanted.index * ReadAhead::kPiece;
  std::vector<std::byte> bytes(size_of(wanted));
  ObjectRead read;
  read.object = segment_object(log_, wanted.segment);
  read.offset = begin;
  read.length = bytes.size();
  if (auto done = copy_data(ask(read), bytes, place_, wanted.segment); !done) return std::unexpected(done.error());
  const std::uint64_t question = next_tag_++ << 3 | kPiece;
  ahead_.asked_for(wanted, question);
  ahead_.came(wanted, question, std::move(bytes));
  return ahead_.find(wanted);
}

Result<std::optional<std::vector<std::byte>>> Pool::read_blob(const std::string& blob) {
  const auto found = head_.blobs.find(blob);
  if (found == head_.blobs.end()) return std::nullopt;
  return found->second;
}

Result<std::vector<std::string>> Pool::blobs() {
  std::vector<std::string> names;
  for (const auto& name : head_.blobs | std::views::keys) names.push_back(name);
  return names;
}

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

// ---- While the log runs ----

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
  ObjectWrite write;
  write.object = segment_object(log_, segment);
  if (!HF_MUTANT(kPoolNoGuard)) write.epoch = epoch_;
  write.offset = offset;
  write.data = bytes;
  const Ended ended = completion(token);
  step(std::move(write), fmt::format("write to segment {}", segment.value), ended, [ended] { ended(std::nullopt); });
}

ObjectWrite Pool::segment_entry_write(SegmentNumber segment, std::optional<SegmentEntry> entry) const {
  ObjectWrite write = on_head();
  const bool making = entry && entry->state == SegmentState::kMaking;
  if (entry) write.entries.emplace_back(making ? making_entry(segment) : segment_entry(segment), encode(*entry));
  if (!entry) write.dropped_entries.push_back(segment_entry(segment));
  if (!making) write.dropped_entries.push_back(making_entry(segment));
  return write;
}

void Pool::make_segment(SegmentNumber segment, std::uint64_t size, Ended ended) {
  const std::string entry = segment_entry(segment);
  in_turn(entry, [this, segment, size, entry, ended = std::move(ended)] {
    make_now(segment, size, [this, entry, ended](std::optional<Error> error) {
      turn_over(entry);
      ended(std::move(error));
    });
  });
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

// The head names it; its object is made; the head says that it is in use. A former owner's attempt may have left, or
// may yet make, an object of that name, to which nothing was ever written: it is taken over.
void Pool::make_now(SegmentNumber segment, std::uint64_t size, const Ended& ended) {
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
      head_.segments[segment.value] = entry;
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

void Pool::remove_segment(SegmentNumber segment, Ended ended) {
  const std::string entry = segment_entry(segment);
  in_turn(entry, [this, segment, entry, ended = std::move(ended)] {
    remove_now(segment, [this, entry, ended](std::optional<Error> error) {
      turn_over(entry);
      ended(std::move(error));
    });
  });
}

// The head says so, its object goes, the head forgets it.
void Pool::remove_now(SegmentNumber segment, const Ended& ended) {
  const std::string what = fmt::format("remove segment {}", segment.value);
  ahead_.forget(segment);
  const auto found = head_.segments.find(segment.value);
  const std::uint64_t size = found == head_.segments.end() ? 0 : found->second.size;
  if (found != head_.segments.end()) head_.segments.erase(found);
  const Next forget = [this, segment, what, ended] {
    step(segment_entry_write(segment, std::nullopt), what, ended, [ended] { ended(std::nullopt); });
  };
  const Next remove_object = [this, segment, what, ended, forget] {
    ObjectWrite write;
    write.object = segment_object(log_, segment);
    if (!HF_MUTANT(kPoolRemovesBlind)) write.epoch_at_most = epoch_;
    write.remove = true;
    step(std::move(write), what, ended, forget, false, Outcome::kAbsent);
  };
  step(segment_entry_write(segment, SegmentEntry{SegmentState::kRemoving, size}), what, ended, remove_object);
}

void Pool::prepare(Token token, SegmentNumber segment, std::uint64_t size) {
  HF_ASSERT(owned_ && size > 0 && size % kBlock == 0);
  ++in_flight_;
  make_segment(segment, size, completion(token));
}

void Pool::recycle(Token token, SegmentNumber from, SegmentNumber to) {
  HF_ASSERT(owned_);
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
  const std::string entry = blob_entry(blob);
  ObjectWrite write = on_head();
  std::vector<std::byte> copy(content.begin(), content.end());
  write.entries.emplace_back(entry, copy);
  const Ended ended = [this, entry, done = completion(token)](std::optional<Error> error) {
    turn_over(entry);
    done(std::move(error));
  };
  in_turn(entry, [this, write = std::move(write), blob, ended, copy = std::move(copy)] {
    step(write, fmt::format("write blob {}", blob), ended, [this, blob, ended, copy] {
      head_.blobs[blob] = copy;
      ended(std::nullopt);
    });
  });
}

std::size_t Pool::poll(std::span<Completion> out) {
  work();
  if (lapsed_ && !HF_MUTANT(kPoolLapsedReports)) return 0;
  const std::size_t count = std::min(out.size(), finished_.size());
  std::move(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(count), out.begin());
  if (fenced_ && !HF_MUTANT(kPoolLapsedReports)) {
    // What is done stays, but whoever has the log now speaks for it.
    Finished fenced;
    fenced.outcome = fenced_by_;
    for (Completion& completion : out.first(count)) {
      if (!completion.error) completion.error = error_of(fenced, place_, "go on");
    }
  }
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(count));
  in_flight_ -= count;
  return count;
}

void Pool::wait() {
  if (finished_.empty() || lapsed_) store_->wait(due());
  work();
}

}  // namespace holdfast::location::rados
