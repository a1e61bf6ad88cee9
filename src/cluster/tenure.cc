#include "cluster/tenure.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace holdfast::cluster {

using location::rados::Pool;

Tenure::Tenure(std::vector<Pool*> pools, std::size_t total, std::size_t needed)
    : pools_(std::move(pools)), total_(total), spare_(total - needed) {
  HF_ASSERT(pools_.size() <= total && needed <= total);
}

void Tenure::look() {
  std::size_t fenced = 0, out = total_ - pools_.size();
  for (const auto* const pool : pools_) {
    // One that lapses because we hold it back is within reach.
    const bool by_itself = pool->lapsed() && std::ranges::find(held_back_, pool) == held_back_.end();
    fenced += pool->fenced() ? 1 : 0;
    out += pool->fenced() || by_itself ? 1 : 0;
  }
  lost_ = fenced > spare_;
  const bool too_few = out > spare_;
  if (too_few == holds_back_) return;
  holds_back_ = too_few;
  if (!too_few) {
    for (auto* const pool : std::exchange(held_back_, {})) pool->let_lapse(false);
    return;
  }
  for (auto* const pool : pools_) {
    if (pool->lapsed() || pool->fenced()) continue;
    pool->let_lapse(true);
    held_back_.push_back(pool);
  }
}

}  // namespace holdfast::cluster
