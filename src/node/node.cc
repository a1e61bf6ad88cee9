#include "node/node.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "cluster/forwarder.h"
#include "cluster/standby.h"
#include "gate/recovery.h"
#include "location/ring.h"
#include "node/entropy.h"
#include "node/handshake_values.h"
#include "node/stop_signals.h"
#include "node/storage.h"
#include "node/trim_request.h"
#include "node/ways_refusals.h"
#include "shard/clock.h"
#include "shard/shard.h"
#include "stack/engine.h"

namespace holdfast::node {
namespace {

// Longer than a start takes: one that does not work out is looked into.
constexpr Duration kStartBound = std::chrono::seconds(2);
// How long a node that has given its log back passes on frames, and waits for the one that takes it.
constexpr Duration kPassOnFor = std::chrono::seconds(1);
constexpr Duration kTakenWithin = std::chrono::milliseconds(300);
constexpr Duration kTidyBound = std::chrono::seconds(1);  // for what it has begun to remove
constexpr Duration kTryAgain = std::chrono::milliseconds(500);
// A node that takes over reads from the last checkpoint on, over the network, while peers wait.
constexpr std::uint64_t kGroupCheckpoints = 4U << 20;
// How often locations are looked at for failures.
constexpr Duration kLookEvery = std::chrono::milliseconds(500);

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

std::string counted(std::size_t connections) {
  return fmt::format("{} connection{}", connections, connections == 1 ? "" : "s");
}

const char* json_bool(bool value) { return value ? "true" : "false"; }

// What happens, in words and as events.
class Chronicle final : public stack::Observer, public StorageWatch::Listener {
 public:
  explicit Chronicle(const EventFile& events) : events_(events) {}

  void opened(StreamId id, const wire::FourTuple& tuple, stack::ServiceKind) override {
    spdlog::debug("stream {} opened: {}", id.value, tuple.to_string());
  }
  void closed(StreamId id, const wire::FourTuple& tuple, tcp::CloseReason reason) override {
    spdlog::debug("stream {} closed: {} (reason {})", id.value, tuple.to_string(), static_cast<int>(reason));
  }
  void resumed(StreamId id, const wire::FourTuple& tuple, tcp::State state) override {
    spdlog::debug("stream {} resumed: {} {}", id.value, tuple.to_string(), tcp::to_string(state));
  }
  void not_resumed(StreamId id, const wire::FourTuple& tuple, const Error& error) override {
    spdlog::error("stream {} from {} cannot go on, its peer waits: {}: give all directories, or mend them, and restart",
                  id.value, tuple.peer.to_string(), error.message);
    events_.write("connection-muted", {{"stream", std::to_string(id.value)},
                                       {"peer", json_string(tuple.peer.to_string())},
                                       {"reason", json_string(error.message)}});
  }
  void handshake(StreamId id, const wire::FourTuple& tuple, const tcp::WaysReport& report) override {
    const bool failed = report.failure != tcp::WaysFailure::kNone;
    if (failed) {
      spdlog::warn("stream {} from {}: no connection: {}", id.value, tuple.peer.to_string(),
                   explain_failure(report, Side::kService));
    } else {
      spdlog::info("stream {} from {}: {}", id.value, tuple.peer.to_string(), describe(report));
    }
    events_.write("handshake", {{"stream", std::to_string(id.value)},
                                {"peer", json_string(tuple.peer.to_string())},
                                {"port", std::to_string(tuple.local.port.value)},
                                {"established", json_bool(!failed)},
                                {"reason", failed ? json_string(std::string(failure_word(report))) : "null"},
                                {"ways", std::to_string(report.ways)},
                                {"proposed", std::to_string(report.asked)},
                                {"fell_back", json_bool(report.fell_back)},
                                {"sent", std::to_string(report.sent)},
                                {"received", std::to_string(report.received)},
                                {"volatile", json_bool(report.is_volatile)},
                                {"copies", std::to_string(report.copies)},
                                {"copies_asked", std::to_string(report.copies_asked)},
                                {"peer_volatile", json_bool(report.peer_volatile)},
                                {"peer_copies", std::to_string(report.peer_copies)},
                                {"peer_copies_asked", std::to_string(report.peer_asked)},
                                {"repeated", std::to_string(report.repeated)},
                                {"dropped", std::to_string(report.dropped)}});
  }
  void ways_refused(const wire::FourTuple& tuple, std::uint8_t proposed, std::uint8_t least) override {
    refusals_.note(tuple, proposed, least);
  }
  void tell_refusals(Time now) {
    const auto news = refusals_.take(now);
    if (!news) return;
    spdlog::warn("{} refused: port {} requires a handshake of at least {} ways, {} proposed {}{}", counted(news->count),
                 news->tuple.local.port.value, news->least, news->tuple.peer.to_string(), news->proposed,
                 news->count > 1 ? " (the latest)" : "");
    events_.write("ways-refused", {{"count", std::to_string(news->count)},
                                   {"peer", json_string(news->tuple.peer.to_string())},
                                   {"port", std::to_string(news->tuple.local.port.value)},
                                   {"proposed", std::to_string(news->proposed)},
                                   {"minimum", std::to_string(news->least)}});
  }
  void stalled(bool now) override {
    events_.write("stalled", {{"value", json_bool(now)}});
    if (now) {
      spdlog::error("storage stands still: windows are closed, peers wait");
    } else {
      spdlog::warn("storage works again");
    }
  }

  void full_changed(const std::vector<std::string>& full) override {
    events_.write("full", {{"value", json_bool(!full.empty())}});
    if (full.empty()) {
      spdlog::warn("there is room again");
    } else {
      spdlog::error("no room in {}: what was taken is acknowledged, peers wait until there is room",
                    fmt::join(full, ", "));
    }
  }
  void location_changed(const log::LocationStatus& location, const log::Log& log) override {
    if (location.state == log::LocationState::kActive) {
      spdlog::warn("location {} counts again", location.name);
      events_.write("location-active", {{"location", json_string(location.name)}});
      return;
    }
    const bool failed = location.state == log::LocationState::kFailed;
    spdlog::error("location {}: {}{}", failed ? "failed" : "is behind", log::with_name(location.name, location.reason),
                  log.quorum_lost() ? "; too few are left: nothing more can be acknowledged" : "; the others carry on");
    events_.write(failed ? "location-failed" : "location-behind",
                  {{"location", json_string(location.name)}, {"reason", json_string(location.reason)}});
  }

 private:
  const EventFile& events_;
  WaysRefusals refusals_;
};

class Node {
 public:
  Node(const ServeOptions& options, std::unique_ptr<link::Tap> tap, const EventFile& events,
       const std::function<void()>& ready)
      : options_(options),
        ready_(ready),
        self_(make_self(options)),
        tap_(std::move(tap)),
        events_(events),
        chronicle_(events),
        started_(shard::monotonic_now()) {}

  // False: it was told to stop before it had a log.
  Result<bool> start() {
    events_.write("started");
    auto ring = location::Ring::create();
    if (!ring) return std::unexpected(ring.error());
    ring_ = *std::move(ring);
    stop_ = std::make_unique<StopSignals>(*ring_);
    gate::Recovery recovered;
    auto log = find_log(recovered);
    if (!log) return std::unexpected(log.error());
    if (!*log && !options_.is_volatile) return false;
    if (recovered.strange_records() > 0) {
      spdlog::error("{} records in the log make no sense and were left out: run `holdfast streams list`",
                    recovered.strange_records());
    }
    const auto connections = recovered_ = recovered.connections().size();
    warn_of_other_addresses(recovered);
    engine_ = std::make_unique<stack::Engine>(engine_config(), *tap_, *std::move(log), std::move(recovered),
                                              std::span<const std::byte, 64>(draw_entropy<64>()), &chronicle_,
                                              shard::monotonic_now());
    shard_ = std::make_unique<shard::Shard>(*engine_, *tap_, *ring_);
    const auto ms = milliseconds(shard::monotonic_now() - started_);
    events_.write("recovered", {{"connections", std::to_string(connections)}, {"ms", fmt::format("{:.3f}", ms)}});
    if (connections > 0) spdlog::info("recovered {} in {:.1f} ms", counted(connections), ms);
    return true;
  }

  // True: another node serves now. The error is the link's: then this process can do nothing more for its peers.
  Result<bool> run() {
    stop_->arm();
    while (goes_on() && engine_->recovering()) {
      turn();
      if (auto possible = check_start(); !possible) return std::unexpected(possible.error());
    }
    if (goes_on()) announce();
    while (goes_on()) turn();
    if (lost_) return true;
    const bool given_back = stop();
    if (tap_->failure()) return std::unexpected(*tap_->failure());
    if (given_back && !options_.group.empty()) pass_on();
    return wanted_;
  }

 private:
  static location::rados::Self make_self(const ServeOptions& options) {
    auto self = who_we_are(options.identity);
    self.lease = options.lease;
    return self;
  }

  // Each node of a group has its own, so that frames can be told from those for the owner before.
  wire::MacAddress own_mac() const {
    if (options_.link.mac) return *options_.link.mac;
    if (options_.group.empty()) return default_mac(options_.address.address);
    return group_mac(self_.identity);
  }

  // ---- A service group ----

  // The log, once it is this node's turn; null: told to stop.
  Result<std::unique_ptr<log::Log>> find_log(gate::Recovery& recovered) {
    if (options_.is_volatile) {
      spdlog::warn("--volatile: nothing is stored, and connections of an earlier start at this address are reset");
      return nullptr;
    }
    self_.mac = own_mac().to_string();
    while (true) {
      auto places = open_places(options_.data, options_.group, self_, *ring_);
      if (!places && try_again_after(places.error())) continue;
      if (!places && stop_->asked()) return nullptr;
      if (!places) return std::unexpected(places.error());
      if (!options_.group.empty() && !places->pools.empty() && !stand_by(*places)) return nullptr;
      pools_ = places->pools;
      recovered = gate::Recovery();
      auto log = open_log(*std::move(places), recovered);
      if (log) return log;
      pools_.clear();
      // Another one was quicker; or it is a passing trouble.
      const bool outrun = !options_.group.empty() && log.error().kind == Error::Kind::kBusy;
      if (!outrun && !try_again_after(log.error())) return log;
    }
  }

  // A node of a group that has stood by goes on doing so, whatever ails its storage just now.
  bool try_again_after(const Error& error) {
    const bool hopeless = error.kind == Error::Kind::kUsage || error.kind == Error::Kind::kIncompatible ||
                          error.kind == Error::Kind::kCorrupt;
    if (!stood_by_ || hopeless || !goes_on()) return false;
    spdlog::error("cannot take over: {}", error.message);
    events_.write("blind", {{"reason", json_string(error.message)}});
    const Time until = shard::monotonic_now() + kTryAgain;
    while (goes_on() && shard::monotonic_now() < until) {
      stop_->arm();
      ring_->wait(until - shard::monotonic_now());
      stop_->take();
    }
    return goes_on();
  }

  // Until the log may be taken; false: told to stop before.
  bool stand_by(const Places& places) {
    using View = cluster::Standby::View;
    cluster::Standby standby(places.pools);
    auto& store = places.pools.front()->store();
    std::optional<View> told;
    const Time begun = store.now();
    stop_->arm();
    while (goes_on()) {
      const View view = standby.look();
      if (view != View::kFree) drop_frames();
      const bool leave_it = options_.standby && standby.fresh() && store.now() < begun + 3 * options_.lease;
      if (view == View::kFree && !leave_it) {
        started_ = shard::monotonic_now();
        if (told) {
          spdlog::warn("the log is free: taking over");
          events_.write("taking-over");
        }
        return true;
      }
      if (told != view) tell(standby, view);
      told = view;
      while (goes_on() && store.now() < standby.next_look() && !standby.notified()) {
        for (auto* const pool : places.pools) (void)pool->store().take();
        store.wait(standby.next_look());
        stop_->take();
      }
    }
    return false;
  }

  void tell(const cluster::Standby& standby, cluster::Standby::View view) {
    if (view == cluster::Standby::View::kUnknown) {
      spdlog::error("who serves cannot be seen: {}", standby.problem());
      events_.write("blind", {{"reason", json_string(standby.problem())}});
      return;
    }
    const std::string owner = standby.owner() ? describe(*standby.owner()) : "nobody yet";
    spdlog::info("standing by: {} serves {}", owner, options_.group);
    events_.write("standing-by", {{"owner", json_string(owner)}});
    stood_by_ = true;
    ready_();
  }

  // What comes while somebody else serves is none of ours.
  void drop_frames() {
    while (tap_->receive({})) {
    }
  }

  // Fenced off, or asked to give the log back? Also says whether we are being missed.
  void look_after_ownership() {
    const auto* const log = engine_->log();
    const auto fenced = std::ranges::count_if(pools_, [](const auto* pool) { return pool->fenced(); });
    // One of several pools that is another's is a failed location; the others carry on if the quorum holds.
    if (!lost_ && !options_.group.empty() && log != nullptr && fenced + log->stored_on() > log->count()) {
      lost_ = true;
      const auto taken = std::ranges::find_if(pools_, [](const auto* pool) { return pool->fenced(); });
      spdlog::error("another node has taken {} over: nothing more is said to any peer", (*taken)->name());
      events_.write("ownership-lost", {{"location", json_string((*taken)->name())}});
    }
    for (auto* const pool : pools_) {
      if (pool->lapsed() != lapsed_.contains(pool)) tell_of_lease(*pool);
      if (options_.group.empty() || lost_ || !pool->store().notified()) continue;
      const auto head = pool->look_at_owner();
      if (!head || !head->wanted) continue;
      wanted_ = true;
      spdlog::warn("asked to hand over");
      events_.write("handover-asked");
    }
  }

  void tell_of_lease(location::rados::Pool& pool) {
    const bool lapsed = pool.lapsed();
    if (lapsed) {
      lapsed_.insert(&pool);
    } else {
      lapsed_.erase(&pool);
    }
    events_.write("lease-lapsed", {{"location", json_string(pool.name())}, {"value", json_bool(lapsed)}});
    if (lapsed) {
      spdlog::error("{}: the lease could not be renewed: what is written there does not count until it is",
                    pool.name());
    } else if (!pool.fenced()) {
      spdlog::warn("{}: the lease is renewed", pool.name());
    }
  }

  // Until others have learnt where the new owner is.
  void pass_on() {
    auto& store = pools_.front()->store();
    const Time begun = store.now();
    std::optional<cluster::Forwarder> forwarder;
    std::uint64_t passed = 0;
    location::Readiness readable(*ring_, tap_->fd(), POLLIN);
    while (store.now() < begun + (forwarder ? kPassOnFor : kTakenWithin)) {
      if (!forwarder) {
        const auto head = pools_.front()->look_at_owner();
        const auto* const owner = head ? head->active_owner() : nullptr;
        const bool other = owner != nullptr && owner->identity != self_.identity;
        if (const auto mac = wire::MacAddress::parse(other ? owner->mac : ""); mac) {
          spdlog::info("{} has taken over", describe(*owner));
          events_.write("handed-over", {{"to", json_string(describe(*owner))}});
          forwarder.emplace(own_mac(), options_.address.address, *mac);
        }
      }
      if (forwarder) {
        while (const auto frame = tap_->receive({})) passed += forwarder->pass_on(*frame, *tap_) ? 1 : 0;
        readable.arm();
      }
      store.wait(store.now() + std::chrono::milliseconds(forwarder ? 20 : 2));
      (void)readable.take();
    }
    events_.write("passed-on", {{"frames", std::to_string(passed)}});
    if (!forwarder) spdlog::warn("nobody has taken over");
  }

  // They stay in the log: back under the old address they go on.
  void warn_of_other_addresses(gate::Recovery& recovered) const {
    std::size_t others = 0;
    for (const auto& [id, connection] : recovered.connections()) {
      others += connection.record.snapshot.tuple.local.address != options_.address.address ? 1 : 0;
    }
    if (others > 0) {
      spdlog::warn("{} of another --address than this one: peers wait for that one to come back", counted(others));
    }
  }

  Result<std::unique_ptr<log::Log>> open_log(Places places, gate::Recovery& recovered) {
    log::Options log_options = options_.log;
    log_options.wall_clock = wall_clock_now();
    if (!options_.group.empty()) log_options.checkpoint_every = kGroupCheckpoints;
    log_options.on_format = [this](unsigned stored_on, unsigned replicas) {
      spdlog::info("no log in {}: a new one is made, ACKed is what {} of {} have", fmt::join(options_.data, ", "),
                   stored_on, replicas);
      events_.write("log-made", {{"stored_on", std::to_string(stored_on)}, {"of", std::to_string(replicas)}});
    };
    log_options.on_replace = [this](const std::string& location) {
      spdlog::warn("location {} is empty: it is refilled in the place of a lost one, which must not come back",
                   location);
      events_.write("location-replaced", {{"location", json_string(location)}});
    };
    log_options.on_copy = [](const std::string& location, std::uint64_t bytes) {
      spdlog::warn("location {} lacks {} MiB of the log: copying them before the start, peers wait", location,
                   bytes >> 20);
    };
    log_options.on_lost_segments = [this](const std::string& location, std::uint64_t restored, std::uint64_t lost,
                                          const std::string& problem) {
      spdlog::warn("location {}: segment files have vanished: {} copied anew, {} lost{}{}", location, restored, lost,
                   problem.empty() ? "" : ": ", problem);
      events_.write("segments-vanished", {{"location", json_string(location)},
                                          {"restored", std::to_string(restored)},
                                          {"lost", std::to_string(lost)}});
    };
    return node::open_log(std::move(places), log_options, recovered,
                          [](const std::string& warning) { spdlog::warn("{}", warning); });
  }

  stack::Config engine_config() const {
    stack::Config config;
    config.ip.mac = own_mac();
    config.ip.address = options_.address;
    config.ip.gateway = options_.gateway;
    config.ip.mtu = options_.link.mtu;
    config.ip.seed = draw_seed();
    config.tcp = options_.tcp;
    config.tcp.mss = static_cast<std::uint16_t>(options_.link.mtu - 40);
    config.services = options_.services;
    config.max_connections = options_.max_connections;
    config.max_half_open = options_.max_half_open;
    config.stall_after = options_.stall_after;
    config.wall_clock = wall_clock_now();
    return config;
  }

  // Without room or quorum the start would never end. With connections to look after it waits: room may come.
  Result<void> check_start() {
    const auto* log = engine_->log();
    if (log == nullptr || shard::monotonic_now() < started_ + kStartBound) return {};
    if (auto enough = check_quorum(*log); !enough) return enough;
    return recovered_ > 0 ? Result<void>{} : check_room(*log);
  }

  bool goes_on() const { return !stop_->asked() && !tap_->failure() && !lost_ && !wanted_; }

  void turn() {
    shard_->turn(next_look_);
    stop_->take();
    if (!pools_.empty()) look_after_ownership();
    const Time now = shard::monotonic_now();
    if (now < next_look_) return;
    next_look_ = now + kLookEvery;
    if (auto* const log = engine_->log()) {
      storage_.look_at(*log, chronicle_);
      if (!log->quorum_lost()) trims_.look(options_.data, *log);
    }
    chronicle_.tell_refusals(now);
    if (tap_->capture() != nullptr) tap_->capture()->writer().flush();
  }

  void announce() {
    const auto ms = milliseconds(shard::monotonic_now() - started_);
    events_.write("ready",
                  {{"connections", std::to_string(engine_->connections())}, {"ms", fmt::format("{:.3f}", ms)}});
    spdlog::info("ready: {} on {} in {:.1f} ms, {}", options_.address.to_string(), options_.link.device, ms,
                 counted(engine_->connections()));
    ready_();
    if (options_.group.empty()) return;
    for (auto* const pool : pools_) pool->watch_head();
  }

  // True: the log is anybody's now.
  bool stop() {
    const auto open = engine_->connections();
    chronicle_.tell_refusals(kNever);
    if (options_.is_volatile && open > 0) {
      spdlog::warn("stopping, and {} with it: with --volatile nothing is kept", counted(open));
    } else {
      spdlog::info("stopping: {} to go on with at the next start", counted(open));
    }
    events_.write("stopping", {{"connections", std::to_string(engine_->connections())}});
    const bool settled = settle(*engine_, *ring_);
    // What nobody waits for, too: leftovers that are removed in the background.
    const Time bound = shard::monotonic_now() + kTidyBound;
    const auto idle = [this] { return std::ranges::all_of(pools_, [](const auto* pool) { return pool->idle(); }); };
    while (settled && !idle() && shard::monotonic_now() < bound) {
      ring_->wait(bound - shard::monotonic_now());
      engine_->pump(shard::monotonic_now());
    }
    bool given_back = settled && !pools_.empty() && !engine_->busy();
    for (auto* const pool : pools_) {
      if (given_back && !pool->release()) given_back = false;
    }
    events_.write("stopped");
    return given_back;
  }

  const ServeOptions& options_;
  const std::function<void()>& ready_;
  location::rados::Self self_;
  // In the order of need: what is below is destroyed first.
  std::unique_ptr<location::Ring> ring_;
  std::unique_ptr<link::Tap> tap_;
  const EventFile& events_;
  Chronicle chronicle_;
  StorageWatch storage_;
  TrimRequests trims_;
  std::unique_ptr<StopSignals> stop_;
  std::unique_ptr<stack::Engine> engine_;
  std::unique_ptr<shard::Shard> shard_;
  std::vector<location::rados::Pool*> pools_;  // the log's
  std::size_t recovered_ = 0;                  // connections
  bool lost_ = false;                          // another node has taken the log
  bool wanted_ = false;                        // we were asked to hand over
  bool stood_by_ = false;                      // another node was seen to serve, or could not be seen
  std::set<const location::rados::Pool*> lapsed_;
  Time started_;  // or began to take over
  Time next_look_{};
};

}  // namespace

Result<bool> run_node(const ServeOptions& options, std::unique_ptr<link::Tap> tap, const EventFile& events,
                      const std::function<void()>& ready) {
  Node node(options, std::move(tap), events, ready);
  const auto started = node.start();
  if (!started) return std::unexpected(started.error());
  if (!*started) return false;
  return node.run();
}

}  // namespace holdfast::node
