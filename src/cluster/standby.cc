#include "cluster/standby.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace holdfast::cluster {

using location::rados::LeaseWatch;

namespace {

constexpr Duration kWhereUnknown = std::chrono::milliseconds(500);
constexpr Duration kWhereFree = std::chrono::milliseconds(50);

}  // namespace

Standby::Standby(std::vector<location::rados::Pool*> pools, std::size_t total)
    : pools_(std::move(pools)), total_(total) {
  HF_ASSERT(!pools_.empty() && pools_.size() <= total_);
  for (auto* const pool : pools_) pool->watch_head(location::rados::Pool::Role::kStandsBy);
}

Standby::View Standby::look() {
  owner_.reset();
  owner_lives_ = false;
  fresh_ = true;
  std::size_t readable = 0;
  problem_ = pools_.size() == total_ ? "" : "too few of the pools could be opened";
  bool all_free = true;
  Duration pause = kWhereFree;
  for (auto* const pool : pools_) {
    const Time asked = pool->store().now();
    const auto head = pool->look_at_owner();
    if (!head) {
      problem_ = head.error().message;
      if (head.error().kind == Error::Kind::kIncompatible) incompatible_ = head.error();
      continue;
    }
    ++readable;
    const bool free = pool->may_take(*head, asked);
    fresh_ = fresh_ && !head->owner;
    if (const auto* const owner = head->active_owner()) {
      owner_ = *owner;
      owner_lives_ = owner_lives_ || pool->owner_renews();
      pause = std::max(pause, LeaseWatch::pause(*owner));
    }
    all_free = all_free && free;
  }
  const Time now = pools_.front()->store().now();
  // More than half of all: what fewer say may be an older owner's that is no owner any more. How many are needed to
  // write is the log's to say.
  if (2 * readable <= total_) {
    next_look_ = now + kWhereUnknown;
    return View::kUnknown;
  }
  next_look_ = now + pause;
  return all_free ? View::kFree : View::kOwned;
}

bool Standby::notified() {
  return std::ranges::count_if(pools_, [](auto* const pool) { return pool->store().notified(); }) > 0;
}

}  // namespace holdfast::cluster
