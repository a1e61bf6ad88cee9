#include "shard/shard.h"

#include <poll.h>

#include <algorithm>

#include "shard/clock.h"
#include "shard/head_size.h"

namespace holdfast::shard {
namespace {

// Enough to amortize a turn's fixed cost, few enough that the log's completions are seen to in time.
constexpr unsigned kBurst = 64;

// Smaller frames are acknowledgements: their headers tell nothing about the next data.
constexpr std::size_t kLeastDataBody = 512;

}  // namespace

Shard::Shard(stack::Engine& engine, link::Tap& tap, location::Ring& ring)
    : engine_(engine), tap_(tap), ring_(ring), readable_(ring, tap.fd(), POLLIN) {}

void Shard::turn(Time at_latest) {
  ++counters_.turns;
  const Time until = std::min(engine_.deadline(), at_latest);
  if (may_sleep() && until > monotonic_now()) {
    ++counters_.sleeps;
    ring_.wait(until == kNever ? Duration::max() : until - monotonic_now());
  } else {
    ring_.poll();
  }
  const Time now = monotonic_now();
  if (readable_.take()) drained_ = false;
  if (!drained_ && engine_.wants_frames()) counters_.frames += receive_burst(now);
  engine_.pump(now);
}

// Nothing to read now; a frame will wake us, unless the engine could do nothing with it.
bool Shard::may_sleep() {
  if (!engine_.wants_frames()) return true;
  if (readable_.take()) drained_ = false;
  if (!drained_) return false;
  readable_.arm();
  return true;
}

unsigned Shard::receive_burst(Time now) {
  drained_ = false;
  for (unsigned count = 0; count < kBurst; ++count) {
    if (count > 0 && !engine_.wants_frames()) return count;
    const auto frame = tap_.receive(engine_.receive_space());
    if (!frame) {
      drained_ = true;
      return count;
    }
    if (filter_ && !filter_(*frame)) {
      ++counters_.filtered;
      continue;
    }
    expect_headers_like(*frame);
    engine_.on_frame(*frame, now);
  }
  return kBurst;
}

void Shard::expect_headers_like(const wire::RxFrame& frame) {
  if (frame.head.size() + frame.body.size() < kLeastDataBody) return;
  const auto size = tcp_header_bytes(frame.head);
  if (!size || *size == head_size_) return;
  head_size_ = *size;
  tap_.set_head_size(head_size_);
}

}  // namespace holdfast::shard
