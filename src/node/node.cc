#include "node/node.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <utility>

#include "gate/recovery.h"
#include "location/ring.h"
#include "node/chronicle.h"
#include "node/entropy.h"
#include "node/group.h"
#include "node/stop_signals.h"
#include "node/storage.h"
#include "node/trim_request.h"
#include "shard/clock.h"
#include "shard/shard.h"
#include "stack/engine.h"

namespace holdfast::node {
namespace {

// Longer than a start takes: one that does not work out is looked into.
constexpr Duration kStartBound = std::chrono::seconds(2);
constexpr Duration kTidyBound = std::chrono::seconds(1);  // for what it has begun to remove
// A node that takes over reads from the last checkpoint on, over the network, while peers wait.
constexpr std::uint64_t kGroupCheckpoints = 4U << 20;
// How often locations are looked at for failures.
constexpr Duration kLookEvery = std::chrono::milliseconds(500);

class Node {
 public:
  Node(const ServeOptions& options, std::unique_ptr<link::Tap> tap, const EventFile& events,
       const std::function<void()>& ready)
      : options_(options),
        ready_(ready),
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
    group_ = std::make_unique<Group>(options_, events_, ready_, *ring_, *stop_, *tap_);
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
    if (options_.part) {
      shard_->set_filter([part = *options_.part, address = options_.address.address](const wire::RxFrame& frame) {
        return cluster::belongs(part.buckets, address, part.bucket, frame);
      });
    }
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
    if (group_->lost()) return true;
    const bool given_back = stop();
    if (tap_->failure()) return std::unexpected(*tap_->failure());
    if (given_back) group_->pass_on();
    return group_->wanted();
  }

 private:
  // Null: told to stop before there was one, or nothing is stored.
  Result<std::unique_ptr<log::Log>> find_log(gate::Recovery& recovered) {
    if (options_.is_volatile) {
      spdlog::warn("--volatile: nothing is stored, and connections of an earlier start at this address are reset");
      return nullptr;
    }
    auto log = group_->find_log([&](Places places) {
      recovered = gate::Recovery();
      return open_log(std::move(places), recovered);
    });
    started_ = group_->turn_came().value_or(started_);
    return log;
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
    config.ip.mac = group_->mac();
    config.ip.address = options_.address;
    config.ip.gateway = options_.gateway;
    config.ip.mtu = options_.link.mtu;
    config.ip.seed = draw_seed();
    // A former owner passes on what still reaches it, with its own address as the sender on the link.
    config.ip.relayed = !options_.group.empty();
    if (options_.part) {
      // One of those who have the address speaks for it on the link: nobody where a router spreads it.
      const bool speaks = options_.part->bucket == 0 && !options_.node_address;
      config.ip.announces = speaks;
      if (!speaks) config.ip.asks_as = options_.node_address ? options_.node_address->address : wire::Ipv4Address{};
    }
    config.tcp = options_.tcp;
    config.tcp.mss = static_cast<std::uint16_t>(options_.link.mtu - 40);
    config.services = options_.services;
    config.max_connections = options_.max_connections;
    config.max_half_open = options_.max_half_open;
    config.stall_after = options_.stall_after;
    config.nudge = options_.nudge;
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

  bool goes_on() const { return !stop_->asked() && !tap_->failure() && !group_->lost() && !group_->wanted(); }

  void turn() {
    shard_->turn(next_look_);
    stop_->take();
    group_->look_after(engine_->log(), trims_);
    const Time now = shard::monotonic_now();
    if (now < next_look_) return;
    next_look_ = now + kLookEvery;
    if (auto* const log = engine_->log()) {
      storage_.look_at(*log, chronicle_);
      chronicle_.tell_writes(*log, engine_->counters().widest_window, now);
      if (!log->quorum_lost()) trims_.look(options_.data, *log);
    }
    chronicle_.tell_refusals(now);
    if (tap_->capture() != nullptr) tap_->capture()->writer().flush();
  }

  void announce() {
    const auto ms = milliseconds(shard::monotonic_now() - started_);
    EventFile::Fields fields = {{"connections", std::to_string(engine_->connections())},
                                {"ms", fmt::format("{:.3f}", ms)}};
    if (options_.part) fields.emplace_back("epoch", std::to_string(group_->epoch()));
    events_.write("ready", fields);
    spdlog::info("ready: {} on {} in {:.1f} ms, {}", options_.address.to_string(), options_.link.device, ms,
                 counted(engine_->connections()));
    ready_();
    group_->begin_to_serve();
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
    const Time bound = shard::monotonic_now() + kEndBound;
    group_->begin_to_end();
    const bool settled = settle(*engine_, *ring_, bound);
    if (engine_->log() != nullptr) chronicle_.tell_writes(*engine_->log(), engine_->counters().widest_window, kNever);
    // What nobody waits for, too: leftovers that are removed in the background.
    const Time tidy = std::min(bound, shard::monotonic_now() + kTidyBound);
    while (settled && !group_->idle() && shard::monotonic_now() < tidy) {
      ring_->wait(tidy - shard::monotonic_now());
      engine_->pump(shard::monotonic_now());
    }
    const bool given_back = settled && !engine_->busy() && group_->release(bound);
    events_.write("stopped");
    return given_back;
  }

  const ServeOptions& options_;
  const std::function<void()>& ready_;
  // In the order of need: what is below is destroyed first.
  std::unique_ptr<location::Ring> ring_;
  std::unique_ptr<link::Tap> tap_;
  const EventFile& events_;
  Chronicle chronicle_;
  StorageWatch storage_;
  TrimRequests trims_;
  std::unique_ptr<StopSignals> stop_;
  std::unique_ptr<Group> group_;
  std::unique_ptr<stack::Engine> engine_;
  std::unique_ptr<shard::Shard> shard_;
  std::size_t recovered_ = 0;  // connections
  Time started_;               // or began to take over
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
