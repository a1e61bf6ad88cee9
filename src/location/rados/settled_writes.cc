#include "location/rados/settled_writes.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"

namespace holdfast::location::rados {

void SettledWrites::begin(ObjectWrite write, Done done, bool tell_full) {
  if (given_up_) {
    Finished finished;
    finished.outcome = *given_up_;
    return done(finished);
  }
  if (writes_.empty()) unanswered_since_ = store_.now();
  const std::uint64_t number = next_++;
  Write& added = writes_.emplace(number, Write{std::move(write), std::move(done), tell_full}).first->second;
  if (!unsettled_ || HF_MUTANT(kPoolUnsettled)) issue(number, added);
}

void SettledWrites::issue(std::uint64_t number, Write& write) {
  write.state = State::kOnItsWay;
  ++on_their_way_;
  store_.submit(number << 3 | kind_, write.write);
}

void SettledWrites::finished(const Finished& finished) {
  if (finished.tag >> 3 < first_) return;
  const auto found = writes_.find(finished.tag >> 3);
  HF_ASSERT(found != writes_.end() && found->second.state == State::kOnItsWay);
  --on_their_way_;
  const bool answered = finished.outcome != Outcome::kUnknown && finished.outcome != Outcome::kFull;
  if (answered) unanswered_since_ = store_.now();
  if (HF_MUTANT(kPoolTimeoutDone) && finished.outcome == Outcome::kUnknown) {
    const Done done = std::move(found->second.done);
    writes_.erase(found);
    return done(Finished());
  }
  const bool unknown =
      finished.outcome == Outcome::kUnknown || (finished.outcome == Outcome::kFull && !found->second.tell_full);
  if (unknown && !given_up_) {
    unsettled_ = true;
    full_ = full_ || finished.outcome == Outcome::kFull;
    found->second.state = finished.outcome == Outcome::kFull ? State::kNoRoom : State::kUnknown;
  } else {
    const Done done = std::move(found->second.done);
    writes_.erase(found);
    if (unknown) {
      Finished ended = finished;
      ended.outcome = *given_up_;
      done(ended);
    } else {
      done(finished);  // which may begin more
    }
  }
  if (unsettled_ && on_their_way_ == 0) {
    // At once where it is known that nothing is on its way any more; with a pause where there is no room.
    full_ = std::ranges::any_of(writes_, [](const auto& write) { return write.second.state == State::kNoRoom; });
    if (full_) {
      retry_at_ = store_.now() + kPause;
    } else {
      go_on();
    }
  }
}

void SettledWrites::tick(Time now) {
  if (now >= retry_at_) go_on();
}

// Nothing is on its way: first what is unknown; when all of that is known, what waited.
void SettledWrites::go_on() {
  retry_at_ = kNever;
  bool again = false;
  for (auto& [number, write] : writes_) {
    if (write.state != State::kUnknown && write.state != State::kNoRoom) continue;
    again = true;
    issue(number, write);
  }
  if (again) return;
  unsettled_ = false;
  full_ = false;
  for (auto& [number, write] : writes_) {
    if (write.state == State::kWaiting) issue(number, write);
  }
}

void SettledWrites::give_up(Outcome outcome) {
  if (given_up_) return;
  given_up_ = outcome;
  retry_at_ = kNever;
  std::vector<Done> ended;
  for (auto at = writes_.begin(); at != writes_.end();) {
    if (at->second.state == State::kOnItsWay) {
      ++at;
      continue;
    }
    ended.push_back(std::move(at->second.done));
    at = writes_.erase(at);
  }
  Finished finished;
  finished.outcome = outcome;
  for (const Done& done : ended) done(finished);
}

void SettledWrites::abandon() {
  given_up_ = given_up_.value_or(Outcome::kUnknown);
  first_ = next_;
  on_their_way_ = 0;
  unsettled_ = full_ = false;
  retry_at_ = kNever;
  Finished finished;
  finished.outcome = *given_up_;
  for (const auto& [number, write] : std::exchange(writes_, {})) write.done(finished);
}

void SettledWrites::begin_anew() {
  HF_ASSERT(idle());
  given_up_.reset();
  unsettled_ = full_ = false;
  retry_at_ = kNever;
}

}  // namespace holdfast::location::rados
