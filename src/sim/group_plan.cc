#include "sim/group_plan.h"

#include <algorithm>

#include "sim/prng.h"

namespace holdfast::sim {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

GroupEvent choose_event(Prng& prng, Duration span, Duration lease, std::size_t nodes) {
  using Kind = GroupEvent::Kind;
  constexpr std::array kKinds = {Kind::kKill,      Kind::kKill,       Kind::kStop,    Kind::kStop,
                                 Kind::kCutFrames, Kind::kCutFrames,  Kind::kCutPool, Kind::kCutPool,
                                 Kind::kHandOver,  Kind::kNoRenewals, Kind::kSlowPool};
  GroupEvent event;
  event.kind = kKinds[prng.below(kKinds.size())];
  event.at = prng.between(Duration{}, span);
  event.lasts = prng.between_log(lease / 8, 6 * lease);
  if (prng.one_in(3)) event.node = static_cast<unsigned>(prng.below(nodes));
  if (prng.one_in(2)) event.mid_call = static_cast<unsigned>(prng.between_log(1, 60) - 1);
  event.keeps_frames = prng.one_in(2);
  return event;
}

// A world about what is still on its way: owners die with writes under way and are back at once, the fence is slow to
// go up, and reads stay without an answer. By draws of its own.
void make_racy(GroupPlan& plan, std::uint64_t seed, Duration span) {
  Prng prng(seed, "races");
  if (!prng.one_in(3)) return;
  PoolFaults& pool = plan.pool;
  pool.bound = 5 * plan.lease;
  pool.writing_slow_in = 4;
  pool.taking_slow_in = 2;
  if (prng.one_in(2)) {
    pool.patience = Duration{};
    pool.reading_lost_in = 12;
  }
  for (std::uint64_t i = prng.between(4, 10); i > 0; --i) {
    GroupEvent event;
    event.kind = GroupEvent::Kind::kKill;
    event.at = prng.between(Duration{}, span);
    event.lasts = prng.between_log(milliseconds(1), milliseconds(20));
    event.mid_call = static_cast<unsigned>(prng.between_log(1, 20) - 1);
    event.keeps_frames = true;
    plan.events.push_back(event);
  }
}

}  // namespace

GroupPlan choose_group(std::uint64_t seed, Duration span) {
  Prng prng(seed, "group");
  GroupPlan plan;
  plan.lease = milliseconds(std::array{100, 200, 400, 1000}[prng.below(4)]);
  const std::uint64_t nodes = prng.between(2, 3);
  for (std::uint64_t i = 0; i < nodes; ++i) {
    GroupNodePlan node;
    node.clock.offset = prng.between(Duration{}, seconds(1000));
    node.clock.drift = static_cast<std::int64_t>(prng.below(2 * kMostDrift + 1)) - kMostDrift;
    node.wall_offset = static_cast<std::int64_t>(prng.below(2'000'000'000'000)) - 1'000'000'000'000;
    plan.nodes.push_back(node);
  }
  PoolFaults& pool = plan.pool;
  pool.typical = microseconds(std::array{200, 1000, 5000}[prng.below(3)]);
  pool.bound = plan.lease * std::array{1, 2, 5}[prng.below(3)];
  pool.blocklist_lag = prng.between(Duration{}, plan.lease);
  pool.patience = prng.one_in(3) ? Duration{} : seconds(30);
  pool.lost_in = std::array{0U, 0U, 200U, 1000U}[prng.below(4)];
  pool.slow_in = std::array{0U, 0U, 40U, 200U}[prng.below(4)];
  pool.writing_slow_in = std::array{0U, 0U, 10U, 50U}[prng.below(4)];
  pool.taking_slow_in = std::array{0U, 3U, 10U}[prng.below(3)];
  plan.nudge = prng.one_in(3);
  const std::uint64_t events = prng.between(1, 8);
  for (std::uint64_t i = 0; i < events; ++i) plan.events.push_back(choose_event(prng, span, plan.lease, nodes));
  make_racy(plan, seed, span);
  std::ranges::sort(plan.events, {}, &GroupEvent::at);
  return plan;
}

}  // namespace holdfast::sim
