#include "log/replica.h"

#include <utility>

#include "base/assert.h"
#include "log/format.h"

namespace holdfast::log {

location::Token make_token(const TokenParts& parts) {
  HF_ASSERT(parts.number < (std::uint64_t{1} << 48));
  return (std::uint64_t{static_cast<std::uint8_t>(parts.operation)} << 56) | (parts.number << 8) | parts.slot;
}

TokenParts split_token(location::Token token) {
  return {static_cast<Operation>(token >> 56), (token >> 8) & ((std::uint64_t{1} << 48) - 1),
          static_cast<std::uint8_t>(token & 0xff)};
}

Replica::Replica(ReplicaStart start)
    : location_(std::move(start.location)),
      name_(std::move(start.name)),
      state_(start.state),
      reason_(std::move(start.reason)),
      prefix_(start.prefix),
      ready_through_(start.ready_through),
      segment_files_(start.segment_files),
      present_(start.present.begin(), start.present.end()) {
  queue_.reserve(Prefix::kSpan);
}

void Replica::take_out(LocationState state, std::string reason) {
  HF_ASSERT(state != LocationState::kActive);
  if (!active()) return;  // the first reason is the one that matters
  state_ = state;
  reason_ = std::move(reason);
}

void Replica::prepare_ahead(SegmentNumber current, unsigned ahead, std::uint64_t segment_size,
                            std::uint64_t max_bytes) {
  if (!active() || preparing_ || ready_through_ >= current + ahead) return;
  const bool reuse = !released_.empty() && released_.front().whole;
  if (full_ && !std::exchange(retry_, false) && !reuse) return;
  if (!reuse && max_bytes != 0 && (segment_files_ + 1) * segment_size > max_bytes) {
    full_ = true;
    return;
  }
  preparing_ = true;
  const SegmentNumber next = ready_through_ + 1;
  const location::Token token = make_token({Operation::kPrepare, next.value, 0});
  if (!reuse) return location_->prepare(token, next, segment_size);
  reusing_ = released_.front().number;
  released_.pop_front();
  location_->recycle(token, *reusing_, next);
}

void Replica::prepared(SegmentNumber segment, const std::optional<Error>& error) {
  preparing_ = false;
  const auto reused = std::exchange(reusing_, std::nullopt);
  if (error) {
    HF_ASSERT(error->kind == Error::Kind::kFull);
    // Where a new name is a new segment: it goes, and makes room.
    if (reused) released_.push_front({*reused, false});
    full_ = true;
    return;
  }
  HF_ASSERT(segment == ready_through_ + 1);
  ready_through_ = segment;
  present_.push_back({segment, true});
  segment_files_ += reused ? 0 : 1;
  freed_ += reused ? 1 : 0;
  full_ = false;
}

void Replica::release(SegmentNumber before) {
  while (holds_before(before)) {
    released_.push_back(present_.front());
    present_.pop_front();
  }
}

// A few are left for the segments that will be prepared next.
void Replica::remove_released() {
  constexpr std::size_t kSpares = 2;
  constexpr unsigned kMostAtOnce = 8;
  while (!released_.empty() && removing_ < kMostAtOnce) {
    const PresentSegment segment = released_.front();
    if (segment.whole && released_.size() <= kSpares) return;
    released_.pop_front();
    ++removing_;
    location_->remove(make_token({Operation::kRemove, segment.number.value, 0}), segment.number);
  }
}

void Replica::removed() {
  --removing_;
  ++freed_;
  --segment_files_;
  retry_ = retry_ || full_;
}

// One write that is stuck while later ones complete must not let the others run out of the prefix's span.
bool Replica::may_submit(const BatchHeader& batch) const {
  const unsigned most = location_ && location_->remote() ? kMaxSubmittedRemote : kMaxSubmitted;
  return batch.at.segment <= ready_through_ && submitted_ < most && batch.lsn.value <= prefix().value + Prefix::kSpan;
}

std::uint8_t Replica::dequeue() {
  HF_ASSERT(!queue_.empty());
  const std::uint8_t slot = queue_.front();
  queue_.erase(queue_.begin());
  return slot;
}

}  // namespace holdfast::log
