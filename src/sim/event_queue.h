// Simulated time: what happens next. Events at the same moment happen in the order in which they were asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/units.h"

namespace holdfast::sim {

class EventQueue {
 public:
  using Action = std::function<void()>;

  Time now() const { return now_; }
  // A moment in the past means now.
  void at(Time when, Action action);
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }
  // Does the next event; false when there is none.
  bool run_next();
  Time next_time() const { return heap_.empty() ? kNever : heap_.front().when; }
  std::uint64_t events() const { return events_; }

 private:
  struct Event {
    Time when;
    std::uint64_t order;
    Action action;
  };
  static bool later(const Event& a, const Event& b) { return a.when != b.when ? a.when > b.when : a.order > b.order; }

  std::vector<Event> heap_;
  Time now_{std::chrono::seconds(1)};
  std::uint64_t order_ = 0;
  std::uint64_t events_ = 0;
};

}  // namespace holdfast::sim
