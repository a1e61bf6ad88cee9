// Who has the log: taking it, fencing others off, renewing, giving it back.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"
#include "location/rados/errors.h"
#include "location/rados/pool.h"

namespace holdfast::location::rados {
namespace {

constexpr std::size_t kMostRaising = 64;                      // segments' epochs on their way to be raised
constexpr std::size_t kMostRenewals = 8;                      // on their way
constexpr Duration kRecoveryTime = std::chrono::seconds(10);  // after that what was read is not needed again

}  // namespace

Owner Pool::owner_record(Owner::State state) const {
  Owner owner;
  owner.state = state;
  owner.identity = self_.identity;
  owner.host = self_.host;
  owner.process = self_.process;
  owner.client = store_->client_address();
  owner.mac = self_.mac;
  owner.serves = self_.serves;
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

// To our epoch, unless it is higher: what older owners still write there fails.
ObjectWrite Pool::raise_of(SegmentNumber segment) const {
  ObjectWrite write;
  write.object = segment_object(log_, segment);
  write.epoch_at_most = epoch_;
  write.attributes = {{kAttributeEpoch, encode_epoch(epoch_)}};
  return write;
}

// Not of a later owner's.
ObjectWrite Pool::removal_of(SegmentNumber segment) const {
  ObjectWrite write;
  write.object = segment_object(log_, segment);
  write.epoch_at_most = epoch_;
  write.remove = true;
  return write;
}

Result<Head> Pool::look() { return head_of(ask(head_read(log_, true)), place_); }
Result<Head> Pool::look_at_owner() { return head_of(ask(head_read(log_, false)), place_); }

Result<bool> Pool::take(const Head& seen) {
  HF_ASSERT(!owned_);
  if (given_up_) return timed_out("take the log");
  const std::uint64_t epoch = seen.epoch + 1;
  renewal_ = 0;
  writes_.begin_anew();  // an attempt before this one may have been given up
  ObjectWrite write;
  write.object = head_name_;
  if (seen.epoch == 0) {
    write.existence = ObjectWrite::Existence::kNew;
  } else if (!HF_MUTANT(kPoolTakesBlind)) {
    write.epoch = seen.epoch;
    // Nor has its owner renewed since: a take that was long on its way would depose one that works.
    if (seen.owner && !HF_MUTANT(kPoolTakesRenewed)) write.unchanged = {{kAttributeOwner, seen.owner_text}};
  }
  write.attributes = {{kAttributeEpoch, encode_epoch(epoch)},
                      {kAttributeOwner, encode(owner_record(Owner::State::kActive))}};
  if (seen.epoch == 0) write.attributes.emplace_back(kAttributeFormat, fmt::format("{}", kNewestFormat));
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
    if (!given_up_) fenced_ = false;
    return fenced_off;
  }
  const Owner* const former = seen.active_owner();
  if (former != nullptr && former->identity != self_.identity && !former->client.empty()) {
    store_->shut_out(former->client);
  }
  // An attempt that was under way when its owner died: its object was never used, and never will be.
  std::vector<SegmentNumber> unfinished;
  for (const auto& [number, entry] : head_.segments) {
    if (!entry.in_use()) unfinished.push_back(SegmentNumber{number});
  }
  awake_.clear();
  for (const auto& [number, entry] : head_.segments) {
    if (entry.state == SegmentState::kMade) awake_.insert(number);
  }
  writing_.clear();
  newest_written_ = written_before_ = 0;
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
  // As another has it, a segment may be awake whose object is not raised yet: to raise it now would let us in.
  if (head->epoch != epoch_) return false;
  head_ = *std::move(head);
  return raise_segments();
}

Result<bool> Pool::raise_segments() {
  if (HF_MUTANT(kPoolNoFence) || HF_MUTANT(kPoolFenceLate)) return true;
  std::vector<SegmentNumber> lost;
  std::optional<std::pair<SegmentNumber, Finished>> problem;
  std::size_t on_their_way = 0;
  // Of those at rest all writes were answered before the head said so (pool_rest.cc).
  bool skips = HF_MUTANT(kPoolSkipsAwake);
  for (const auto& [number, entry] : head_.segments) {
    if (entry.state != SegmentState::kMade || std::exchange(skips, false)) continue;
    const SegmentNumber segment{number};
    if (HF_MUTANT(kPoolFenceUnawaited)) {
      writes_.begin(raise_of(segment), [](const Finished&) {});
      continue;
    }
    ++on_their_way;
    writes_.begin(raise_of(segment), [&, segment](const Finished& finished) {
      --on_their_way;
      if (finished.outcome == Outcome::kAbsent) {
        lost.push_back(segment);
      } else if (finished.outcome != Outcome::kDone) {
        if (!problem) problem = {segment, finished};
      }
    });
    while (on_their_way >= kMostRaising) wait();
  }
  while (on_their_way > 0) wait();
  for (const SegmentNumber segment : lost) head_.segments.erase(segment.value);
  if ((fenced_ && !given_up_) || (problem && problem->second.outcome == Outcome::kGuard)) return false;
  if (problem) {
    const auto& [segment, finished] = *problem;
    return wrong(finished, fmt::format("fence off the former owner from segment {}", segment.value));
  }
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
      // All that were on their way are old, where the cluster has stood still.
      if (lapsed_ && renewals_.empty() && !let_lapse_) renew(store_->now());
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

Result<void> Pool::release(Duration bound) {
  if (!owned_ || fenced_) return {};
  if (!writes_.idle()) return fail(Error::Kind::kBusy, fmt::format("{}: writes are on their way", place_));
  ObjectWrite write = on_head();
  write.attributes = {{kAttributeOwner, encode(owner_record(Owner::State::kReleased))}};
  owned_ = false;
  epoch_ = 0;  // a renewal begun now would take the log once more
  const std::uint64_t tag = next_tag_++ << 3 | kAnswer;
  answers_[tag];
  store_->submit(tag, write);
  const auto finished = await(tag, store_->now() + bound);
  store_->notify(head_name_);
  if (!finished) return fail(Error::Kind::kTimeout, fmt::format("{}: no answer in time", place_));
  if (finished->outcome != Outcome::kDone) return wrong(*finished, "give the log back");
  return {};
}

Result<bool> Pool::ask_for(const Head& seen) {
  return ask_owner(handover_request(log_, seen.epoch), "ask for the log");
}

Result<bool> Pool::ask_to_trim(const Head& seen, const Trim& trim) {
  return ask_owner(trim_request(log_, seen.epoch, trim), "ask for a trim");
}

Result<bool> Pool::ask_owner(const ObjectWrite& request, std::string_view what) {
  const Finished finished = ask(request);
  if (finished.outcome == Outcome::kGuard) return false;
  if (finished.outcome != Outcome::kDone) return wrong(finished, what);
  store_->notify(head_name_);
  return true;
}

void Pool::answer_trim(const Trim& trim) {
  if (!owned_ || fenced_) return;
  ObjectWrite write = on_head();
  write.attributes = {{kAttributeTrimmed, encode(trim, epoch_)}};
  writes_.begin(std::move(write), [](const Finished&) {});
}

std::unexpected<Error> Pool::taken_over() const {
  return fail(Error::Kind::kBusy, fmt::format("{}: another node has taken this log over", place_));
}

bool Pool::may_take(const Head& seen, Time asked) {
  const bool ours = seen.owner && seen.owner->identity == self_.identity;
  return watch_.free(seen, asked, store_->now()) || ours;
}

Result<void> Pool::lock(Duration bound) {
  if (given_up_) return timed_out("take the log");
  if (fenced_) return taken_over();
  const Time give_up = store_->now() + bound;
  // No answer in time: what became of it the next look at the head says. A take that has happened, or happens later, is
  // our own, and taken from ourselves; one that is overtaken meets another epoch. The store's bound is the pause.
  const auto look_again = [&](const Error& error) {
    return error.kind == Error::Kind::kTimeout && store_->now() < give_up && !given_up_;
  };
  while (!owned_) {
    const Time asked = store_->now();
    auto seen = look();
    if (!seen) {
      if (look_again(seen.error())) continue;
      return std::unexpected(seen.error());
    }
    if (may_take(*seen, asked)) {
      auto taken = take(*seen);
      if (!taken && !look_again(taken.error())) return std::unexpected(taken.error());
      continue;
    }
    const Time now = store_->now();
    if (now >= give_up && watch_.renews()) {
      return fail(Error::Kind::kBusy, fmt::format("{}: in use by another node ({})", place_, describe(*seen->owner)));
    }
    const Time next = now + LeaseWatch::pause(*seen->owner);
    while (store_->now() < next) {
      if (!patient()) return timed_out("take the log");
      store_->wait(next);
      work();
    }
  }
  return {};
}

bool Pool::has_owner() const { return owned_ && !fenced_; }

// Not only whether we know already: between two renewals, or cut off, we know nothing.
Result<void> Pool::confirm_lock() {
  if (has_owner()) {
    const auto head = look_at_owner();
    if (!head) return std::unexpected(head.error());
    if (head->epoch != epoch_) fence_off(Outcome::kGuard);
  }
  return has_owner() ? Result<void>() : taken_over();
}

}  // namespace holdfast::location::rados
