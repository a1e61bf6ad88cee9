#include "node/group.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <utility>

#include "cluster/forwarder.h"
#include "cluster/successor.h"
#include "log/identity.h"
#include "node/chronicle.h"
#include "node/values.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

// How long a node that has given its log back passes on frames, and waits for the one that takes it.
constexpr Duration kPassOnFor = std::chrono::seconds(1);
constexpr Duration kTakenWithin = std::chrono::milliseconds(300);
constexpr Duration kTryAgain = std::chrono::milliseconds(500);  // at first; twice as long each time
constexpr unsigned kMostDoublings = 3;
// How often an owner looks at the heads of its pools without being told to, and a standby opens what it lacks.
constexpr Duration kLookAtHeads = std::chrono::seconds(1);
constexpr Duration kLeastForRelease = std::chrono::milliseconds(100);
constexpr std::size_t kMostServed = 500;  // bytes: as many as the record takes
constexpr Duration kOpenAgain = std::chrono::seconds(5);

// As the owner's record has it: one word, the same whatever the order.
std::string what_is_served(const ServeOptions& options) {
  std::vector<std::string> services;
  for (const auto& service : options.services) {
    const char* const kind = service.kind == stack::ServiceKind::kEcho ? "echo" : "store";
    services.push_back(fmt::format("{}:{}", kind, service.port.value));
  }
  std::ranges::sort(services);
  auto text = fmt::format("{},{}", options.address.to_string(), fmt::join(services, ","));
  text.resize(std::min(text.size(), kMostServed));
  return text;
}

}  // namespace

Group::Group(const ServeOptions& options, const EventFile& events, const std::function<void()>& ready,
             location::Ring& ring, StopSignals& stop, link::Tap& device)
    : options_(options),
      events_(events),
      ready_(ready),
      ring_(ring),
      stop_(stop),
      device_(device),
      self_(who_we_are(options.identity)),
      given_pools_(static_cast<std::size_t>(std::ranges::count_if(options.data, location::rados::is_address))) {
  self_.lease = options.lease;
  self_.mac = mac().to_string();
  self_.serves = what_is_served(options);
}

wire::MacAddress Group::mac() const {
  if (options_.link.mac) return *options_.link.mac;
  if (!grouped()) return default_mac(options_.address.address);
  return group_mac(self_.identity);
}

// ---- Standing by ----

Result<std::unique_ptr<log::Log>> Group::find_log(const Open& open) {
  while (true) {
    auto places = open_places(options_.data, options_.group, self_, ring_);
    if (!places && try_again_after(places.error(), Duration::zero())) continue;
    if (!places && stop_.asked()) return nullptr;
    if (!places) return std::unexpected(places.error());
    for (auto* const pool : places->pools) pool->set_patience(patience());
    if (grouped() && !places->pools.empty()) {
      const auto turn = stand_by(*places);
      if (!turn) return std::unexpected(turn.error());
      if (*turn == Turn::kOpenAgain) continue;
      if (*turn == Turn::kStopped) return nullptr;
    }
    pools_ = places->pools;
    auto log = open(*std::move(places));
    if (log) {
      for (auto* const pool : pools_) pool->set_patience({});
      return log;
    }
    pools_.clear();
    if (stop_.asked()) return nullptr;
    // Another one was quicker; or it is a passing trouble.
    const bool outrun = grouped() && log.error().kind == Error::Kind::kBusy;
    // By the head's word the log may be ours now, and lie still: a node that reaches what we do not must see our lease
    // end.
    if (!outrun && !try_again_after(log.error(), 2 * options_.lease)) return log;
  }
}

// A node of a group that has stood by goes on doing so, whatever ails its storage just now.
bool Group::try_again_after(const Error& error, Duration least) {
  const bool hopeless = error.kind == Error::Kind::kUsage || error.kind == Error::Kind::kIncompatible ||
                        error.kind == Error::Kind::kCorrupt;
  if (!stood_by_ || hopeless || !goes_on()) return false;
  spdlog::error("cannot take over: {}", error.message);
  const Duration pause = std::max<Duration>(least, kTryAgain * (1 << std::min(failures_++, kMostDoublings)));
  events_.write("blind",
                {{"reason", json_string(error.message)}, {"again_ms", fmt::format("{:.0f}", milliseconds(pause))}});
  const Time until = shard::monotonic_now() + pause;
  while (goes_on() && shard::monotonic_now() < until) {
    stop_.arm();
    ring_.wait(until - shard::monotonic_now());
    stop_.take();
  }
  return goes_on();
}

// A take that waits for storage is ended by a signal, and says what it waits for.
location::rados::Patience Group::patience() {
  stop_.arm();
  return {.reads = {},
          .over = [this] { return stop_.look() || device_.failure(); },
          .tell =
              [this](const std::string& what) {
                spdlog::warn("{}", what);
                events_.write("storage-awaited", {{"reason", json_string(what)}});
              }};
}

// Until the log may be taken.
Result<Group::Turn> Group::stand_by(const Places& places) {
  using View = cluster::Standby::View;
  cluster::Standby standby(places.pools, given_pools_);
  auto& store = places.pools.front()->store();
  std::optional<View> told;
  const Time begun = store.now();
  stop_.arm();
  while (goes_on()) {
    const View view = standby.look();
    if (!goes_on()) break;
    if (standby.incompatible()) return std::unexpected(*standby.incompatible());
    if (view != View::kFree) drop_frames();
    if (view != View::kUnknown && !standby.fresh()) {
      if (auto odds = at_odds_with_log(places)) return std::unexpected(*std::move(odds));
    }
    const bool leave_it = options_.standby && standby.fresh() && store.now() < begun + 3 * options_.lease;
    if (view == View::kFree && !leave_it) {
      turn_came_ = shard::monotonic_now();
      if (told) {
        spdlog::warn("the log is free: taking over");
        events_.write("taking-over");
      }
      return Turn::kCame;
    }
    // Of a dead one it means nothing: whoever takes its log serves what it was told to.
    const auto odds = standby.owner() ? at_odds_with(*standby.owner()) : std::nullopt;
    if (odds && standby.owner_lives()) return std::unexpected(*odds);
    if (told != view && !odds) tell(standby, view);
    const bool lacks_some = view == View::kUnknown && places.pools.size() < given_pools_;
    if (lacks_some && store.now() >= begun + kOpenAgain) return Turn::kOpenAgain;
    told = view;
    while (goes_on() && store.now() < standby.next_look() && !standby.notified()) {
      for (auto* const pool : places.pools) (void)pool->store().take();
      store.wait(standby.next_look());
      stop_.take();
    }
  }
  return Turn::kStopped;
}

// A takeover by a node that serves something else would leave connections without their service.
std::optional<Error> Group::at_odds_with(const location::rados::Owner& owner) const {
  if (owner.identity == self_.identity) return std::nullopt;
  if (!owner.serves.empty() && owner.serves != self_.serves) {
    return Error{
        Error::Kind::kUsage,
        fmt::format("--service-group {}: {} serves {}, and this node is to serve {}: the nodes of a group must "
                    "be given the same; to change it, end all, then start all",
                    options_.group, describe(owner), owner.serves, self_.serves)};
  }
  if (owner.mac == self_.mac) {
    return Error{Error::Kind::kUsage,
                 fmt::format("--service-group {}: {} has the MAC {}, and so has this node: give each its own, or none",
                             options_.group, describe(owner), owner.mac)};
  }
  return std::nullopt;
}

// A log says of itself on how many locations it is stored, whoever owns it, and for good. One that was told otherwise
// would find that out after it had taken the log.
std::optional<Error> Group::at_odds_with_log(const Places& places) {
  for (auto* const pool : places.pools) {
    if (log_known_) break;
    const auto head = pool->look();
    if (!head) continue;
    const auto blob = head->blobs.find(log::kIdentityBlob);
    if (blob == head->blobs.end()) continue;  // it is being made
    log_known_ = true;
    const auto identity = log::decode_identity(blob->second, pool->name());
    if (!identity) break;  // recovery knows what to make of it
    const unsigned given = options_.log.stored_on;
    if ((given == 0 || given == identity->stored_on) && options_.data.size() <= identity->members.size()) break;
    return Error{
        Error::Kind::kUsage,
        fmt::format("--service-group {}: its log is stored on {} of {} locations, and this node is given {}{}: "
                    "the nodes of a group must be given the same",
                    options_.group, identity->stored_on, identity->members.size(), options_.data.size(),
                    given == 0 ? "" : fmt::format(" with --stored-on {}", given))};
  }
  return std::nullopt;
}

void Group::tell(const cluster::Standby& standby, cluster::Standby::View view) {
  if (view == cluster::Standby::View::kUnknown) {
    spdlog::error("who serves cannot be seen: {}", standby.problem());
    events_.write("blind", {{"reason", json_string(standby.problem())}});
    return;
  }
  const std::string owner = standby.owner() ? describe(*standby.owner()) : "nobody yet";
  spdlog::info("standing by: {} serves {}", owner, options_.group);
  events_.write("standing-by", {{"owner", json_string(owner)}});
  stood_by_ = true;
  failures_ = 0;
  ready_();
}

// What comes while somebody else serves is none of ours.
void Group::drop_frames() {
  while (device_.receive({})) {
  }
}

// ---- Serving ----

void Group::begin_to_serve() {
  if (!grouped()) return;
  for (auto* const pool : pools_) pool->watch_head(location::rados::Pool::Role::kServes);
}

void Group::look_after(const log::Log* log, TrimRequests& trims) {
  for (auto* const pool : pools_) {
    if (pool->lapsed() != lapsed_.contains(pool)) tell_of_lease(*pool);
  }
  if (lost_ || pools_.empty() || log == nullptr) return;
  look_at_heads(trims);
  if (!grouped()) return;
  // One of several pools that is another's is a failed location; the others carry on if the quorum holds.
  if (!tenure_) tenure_.emplace(pools_, given_pools_, log->stored_on());
  const bool held_back = tenure_->holds_back();
  tenure_->look();
  if (tenure_->holds_back() != held_back && given_pools_ > 1) tell_of_holding_back();
  if (tenure_->lost()) {
    lost_ = true;
    const auto taken = std::ranges::find_if(pools_, [](const auto* pool) { return pool->fenced(); });
    spdlog::error("another node has taken {} over: nothing more is said to any peer", (*taken)->name());
    events_.write("ownership-lost", {{"location", json_string((*taken)->name())}});
  }
}

// Are we asked to hand over, or to trim? Nothing here waits: a head may be slow to answer while segments are not. What
// a lost notification, or an answer that did not come, would have told is seen at the next look.
void Group::look_at_heads(TrimRequests& trims) {
  const Time now = shard::monotonic_now();
  const bool due = now >= look_at_heads_;
  if (due) look_at_heads_ = now + kLookAtHeads;
  for (auto* const pool : pools_) {
    if (pool->store().notified() || due) pool->begin_look();
    const auto head = pool->take_look();
    if (!head || !*head || (*head)->epoch != pool->head().epoch) continue;
    trims.look(*pool, **head);
    if (wanted_ || !grouped() || !(*head)->wanted) continue;
    wanted_ = true;
    spdlog::warn("asked to hand over");
    events_.write("handover-asked");
  }
}

void Group::tell_of_holding_back() const {
  const bool on = tenure_->holds_back();
  events_.write("held-back", {{"value", json_bool(on)}});
  if (on) {
    spdlog::error("too few pools are reached: no lease is renewed, so that a node that reaches enough may take over");
  } else {
    spdlog::warn("enough pools are reached again: leases are renewed");
  }
}

void Group::tell_of_lease(location::rados::Pool& pool) {
  const bool lapsed = pool.lapsed();
  if (lapsed) {
    lapsed_.insert(&pool);
  } else {
    lapsed_.erase(&pool);
  }
  events_.write("lease-lapsed", {{"location", json_string(pool.name())}, {"value", json_bool(lapsed)}});
  if (lapsed) {
    spdlog::error("{}: the lease could not be renewed: what is written there does not count until it is", pool.name());
  } else if (!pool.fenced()) {
    spdlog::warn("{}: the lease is renewed", pool.name());
  }
}

// ---- Giving it back ----

bool Group::idle() const {
  return std::ranges::all_of(pools_, [](const auto* pool) { return pool->idle(); });
}

void Group::begin_to_end() {
  if (!grouped()) return;
  for (auto* const pool : pools_) pool->begin_roll_call();
}

bool Group::release(Time bound) {
  bool given_back = !pools_.empty();
  for (auto* const pool : pools_) {
    const Duration left = bound - shard::monotonic_now();
    if (given_back && !pool->release(std::max(left, kLeastForRelease))) given_back = false;
  }
  return given_back;
}

void Group::pass_on() {
  if (!grouped()) return;
  auto& pool = *pools_.front();
  auto& store = pool.store();
  const Time begun = store.now();
  std::optional<cluster::Forwarder> forwarder;
  std::uint64_t passed = 0;
  location::Readiness readable(ring_, device_.fd(), POLLIN);
  while (store.now() < begun + (forwarder ? kPassOnFor : kTakenWithin)) {
    (void)pool.poll({});
    if (!forwarder) {
      if (pool.take_roll_call() == false) break;
      if (const auto taker = cluster::look_for_successor(pool, self_.identity)) {
        spdlog::info("{} has taken over", describe(taker->owner));
        events_.write("handed-over", {{"to", json_string(describe(taker->owner))}});
        forwarder.emplace(mac(), options_.address.address, taker->mac);
      }
    }
    if (forwarder) {
      while (const auto frame = device_.receive({})) passed += forwarder->pass_on(*frame, device_) ? 1 : 0;
      readable.arm();
    }
    store.wait(store.now() + std::chrono::milliseconds(forwarder ? 20 : 2));
    (void)readable.take();
  }
  events_.write("passed-on", {{"frames", std::to_string(passed)}});
  if (!forwarder) spdlog::warn("nobody has taken over");
}

}  // namespace holdfast::node
