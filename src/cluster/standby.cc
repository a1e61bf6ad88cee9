#include "cluster/standby.h"

#include <algorithm>

#include "base/assert.h"

namespace holdfast::cluster {

using location::rados::LeaseWatch;
using location::rados::Owner;

namespace {

constexpr Duration kWhereUnknown = std::chrono::milliseconds(500);
constexpr Duration kWhereFree = std::chrono::milliseconds(50);

}  // namespace

Standby::Standby(std::vector<location::rados::Pool*> pools) {
  for (auto* const pool : pools) {
    pools_.push_back({pool, {}});
    pool->watch_head();
  }
  HF_ASSERT(!pools_.empty());
}

Standby::View Standby::look() {
  owner_.reset();
  fresh_ = true;
  std::size_t readable = 0;
  bool all_free = true;
  Duration pause = kWhereFree;
  for (Seen& seen : pools_) {
    const auto head = seen.pool->look();
    if (!head) {
      problem_ = head.error().message;
      continue;
    }
    ++readable;
    const bool free = seen.watch.free(*head, seen.pool->store().now());
    fresh_ = fresh_ && !head->owner;
    if (head->owner && head->owner->state == Owner::State::kActive) {
      owner_ = head->owner;
      pause = std::max(pause, LeaseWatch::lease_of(*head->owner) / 10);
    }
    all_free = all_free && free;
  }
  const Time now = pools_.front().pool->store().now();
  // More than half: what fewer say may be an older owner's that is no owner any more. How many are needed to write is
  // the log's to say.
  if (2 * readable <= pools_.size()) {
    next_look_ = now + kWhereUnknown;
    return View::kUnknown;
  }
  next_look_ = now + pause;
  return all_free ? View::kFree : View::kOwned;
}

bool Standby::notified() {
  return std::ranges::count_if(pools_, [](const Seen& seen) { return seen.pool->store().notified(); }) > 0;
}

}  // namespace holdfast::cluster
