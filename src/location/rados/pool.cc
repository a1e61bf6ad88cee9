#include "location/rados/pool.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"
#include "location/rados/errors.h"

namespace holdfast::location::rados {

namespace {

constexpr Duration kReleaseAtEnd = std::chrono::milliseconds(500);
constexpr Duration kWorthTelling = std::chrono::seconds(1);  // of a wait; and how often one is looked at

// Of what was asked, and is not waited for.
Finished nothing() {
  Finished finished;
  finished.outcome = Outcome::kUnknown;
  return finished;
}

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
  if (owned_ && !fenced_ && writes_.idle()) (void)release(kReleaseAtEnd);
}

std::unexpected<Error> Pool::wrong(const Finished& finished, std::string_view what) const {
  return std::unexpected(error_of(finished, place_, what));
}

std::unexpected<Error> Pool::timed_out(std::string_view what) const { return wrong(nothing(), what); }

// ---- One operation at a time ----

Finished Pool::ask(const ObjectRead& read) {
  if (over()) return nothing();
  const std::uint64_t tag = next_tag_++ << 3 | kAnswer;
  answers_[tag];
  store_->submit(tag, read);
  return await(tag, read.object);
}

Finished Pool::ask(const ObjectWrite& write) {
  if (over()) return nothing();
  const std::uint64_t tag = next_tag_++ << 3 | kAnswer;
  answers_[tag];
  store_->submit(tag, write);
  return await(tag, write.object);
}

Finished Pool::await(std::uint64_t tag, const std::string& object) {
  const Time tell_at = store_->now() + kWorthTelling;
  while (!answers_.at(tag)) {
    if (over()) {
      answers_.erase(tag);
      return nothing();
    }
    const Time now = store_->now();
    if (now >= tell_at) tell_of(object);
    store_->wait(std::min(due(), now < tell_at ? tell_at : kNever));
    work();
  }
  return *std::move(answers_.extract(tag).mapped());
}

// ---- Patience ----

void Pool::tell_of(const std::string& object) {
  if (!patience_.tell || !told_of_.insert(object).second) return;
  patience_.tell(fmt::format("{}: waiting for the cluster's answer about {}: look at `ceph -s`", place_, object));
}

// What was begun may still happen, so the log is not given back either; whoever takes it fences that off.
void Pool::give_up() {
  if (!fenced_) fenced_by_ = Outcome::kUnknown;
  fenced_ = given_up_ = true;
  lapsed_ = false;
  writes_.abandon();
}

bool Pool::over() {
  if (!given_up_ && patience_.over && patience_.over()) give_up();
  return given_up_;
}

bool Pool::patient() {
  if (over()) return false;
  const Time now = store_->now();
  // Where a renewal is waited for, so is what was done already.
  const Time since = !writes_.idle() ? writes_.unanswered_since() : lapsed_ ? lease_.good_until() : now;
  if (now - since >= patience_.bound) {
    give_up();
    return false;
  }
  if (now - since >= kWorthTelling) tell_of(writes_.idle() ? head_name_ : writes_.oldest_object());
  return true;
}

// None: it may come later, and nobody waits for it then.
std::optional<Finished> Pool::await(std::uint64_t tag, Time bound) {
  while (!answers_.at(tag) && store_->now() < bound) {
    store_->wait(std::min(due(), bound));
    work();
  }
  return std::move(answers_.extract(tag).mapped());
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
        if (const auto found = answers_.find(finished.tag); found != answers_.end())
          found->second = std::move(finished);
        break;
      case kLook:
        looking_ = false;
        look_came_ = head_of(finished, place_);
        break;
      case kRollCall:
        calling_ = false;
        if (finished.outcome == Outcome::kDone) roll_called_ = stands_by(finished);
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
    if (now >= lease_.due() && !let_lapse_) renew(now);
    // Over only once there is some of a lease ahead: what comes through late is over again in a moment.
    lapsed_ = owned_ && !lease_.good(lapsed_ ? now + lease_.length() / 4 : now);
  }
  store_->wake_at(due());
}

// Only an owner has something to renew: a time that has gone by is nothing to wait for.
Time Pool::due() const {
  return std::min(epoch_ != 0 && !fenced_ && !let_lapse_ ? lease_.due() : kNever, writes_.wake_at());
}

// ---- Who looks, without waiting ----

void Pool::begin_look() {
  if (std::exchange(looking_, true)) return;
  store_->submit(next_tag_++ << 3 | kLook, head_read(log_, false));
}

void Pool::begin_roll_call() {
  if (std::exchange(calling_, true)) return;
  store_->ask_lookers(next_tag_++ << 3 | kRollCall, head_name_);
}

bool Pool::stands_by(const Finished& finished) {
  return std::ranges::any_of(finished.attributes, [](const auto& looker) { return looker.second == kStandingBy; });
}

Result<bool> Pool::somebody_stands_by() {
  const std::uint64_t tag = next_tag_++ << 3 | kAnswer;
  answers_[tag];
  store_->ask_lookers(tag, head_name_);
  const Finished finished = await(tag, head_name_);
  if (finished.outcome != Outcome::kDone) return wrong(finished, "ask who stands by");
  return stands_by(finished);
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
  if (patient() && (finished_.empty() || lapsed_)) store_->wait(std::min(due(), store_->now() + kWorthTelling));
  work();
}

}  // namespace holdfast::location::rados
