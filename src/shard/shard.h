// One thread's loop: frames from a link into an engine, the engine's disk operations through the ring, sleep when there
// is nothing to do. Shards share nothing.
//
//   while (running) shard.turn(kNever);
//
// Threads: one owner thread.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "base/units.h"
#include "link/tap.h"
#include "location/ring.h"
#include "stack/engine.h"

namespace holdfast::shard {

struct Counters {
  std::uint64_t turns = 0;
  std::uint64_t sleeps = 0;  // turns that began with nothing to do, and waited
  std::uint64_t frames = 0;
  std::uint64_t filtered = 0;  // of these
};

class Shard {
 public:
  // All three outlive the shard. The ring is the one that the engine's locations use.
  Shard(stack::Engine& engine, link::Tap& tap, location::Ring& ring);

  // Frames that are none of ours although they came are left out before the engine sees them.
  void set_filter(std::function<bool(const wire::RxFrame&)> filter) { filter_ = std::move(filter); }

  // Submits what the engine asked for; when the link is drained, sleeps until a frame, a completion on the ring (any
  // user's), the engine's deadline or `at_latest`. Then takes a bounded burst of frames and lets the engine work. So
  // whoever was told something in a turn can act on it before the next one sleeps.
  void turn(Time at_latest);

  const Counters& counters() const { return counters_; }

 private:
  unsigned receive_burst(Time now);
  bool may_sleep();
  void expect_headers_like(const wire::RxFrame& frame);

  stack::Engine& engine_;
  link::Tap& tap_;
  location::Ring& ring_;
  location::Readiness readable_;
  std::function<bool(const wire::RxFrame&)> filter_;
  Counters counters_;
  std::size_t head_size_ = 0;
  bool drained_ = false;  // the last read found nothing: wait for readiness before the next
};

}  // namespace holdfast::shard
