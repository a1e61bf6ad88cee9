#include "sim/world.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "sim/attacker.h"
#include "sim/context.h"
#include "sim/network.h"
#include "sim/node_dials.h"
#include "sim/node_host.h"
#include "sim/oracle.h"
#include "sim/scenario.h"
#include "sim/stream_check.h"
#include "sim/world_parts.h"

namespace holdfast::sim {

namespace {

constexpr std::uint64_t kMaxEvents = 4'000'000;

constexpr unsigned kNode = 1, kAttackerHost = 200;

class World {
 public:
  World(std::uint64_t seed, const WorldOptions& options)
      : scenario_(choose_scenario(seed)),
        context_(options.trace),
        network_(context_, Prng(seed, "network")),
        oracle_(context_, address_of(kNode), scenario_.node_tcp.msl, scenario_.disks, scenario_.stored_on,
                scenario_.node_max_half_open),
        node_(context_, network_, oracle_, {mac_of(kNode), {address_of(kNode), 24}}, scenario_, Prng(seed, "node")),
        attacker_(context_, network_, oracle_,
                  {mac_of(kAttackerHost), mac_of(kNode), address_of(kAttackerHost), address_of(kNode)},
                  scenario_.attack, Prng(seed, "attacker")),
        prng_(seed, "world") {
    context_.note("{}", describe(scenario_));
    node_.after_death = [this] {
      check_streams(context_, oracle_, node_.disks(), node_.tail(), scenario_.retain_bytes);
    };
    node_.start();
    peers_ = std::make_unique<Peers>(context_, network_, oracle_, scenario_, address_of(kNode));
    dials_ =
        std::make_unique<NodeDials>(context_, oracle_, node_, scenario_.dials, peers_->clients(), Prng(seed, "dials"));
    schedule_faults();
    heartbeat();
  }

  WorldResult run() {
    run_to_the_end(context_, scenario_, kMaxEvents, complete_, [this] { return unfinished(); });
    check_streams(context_, oracle_, node_.disks(), node_.tail(), scenario_.retain_bytes);
    return result_of(context_, scenario_, oracle_);
  }

 private:
  void schedule_faults() {
    for (const DeathPlan& death : scenario_.deaths) {
      context_.queue.after(death.at, [this, &death] {
        if (!calm_) node_.die(death);
      });
    }
    for (const DiskSpell& spell : scenario_.disk_spells) {
      context_.queue.after(spell.from, [this, &spell] { node_.begin_spell(spell); });
      context_.queue.after(spell.until, [this, &spell] { node_.end_spell(spell); });
    }
    for (const Partition& partition : scenario_.partitions) {
      context_.queue.after(partition.from, [this, &partition] { set_partition(partition, true); });
      context_.queue.after(partition.until, [this, &partition] { set_partition(partition, false); });
    }
    for (const ClientPlan& client : scenario_.clients) schedule_node_aborts(client.streams);
    for (const PlainPeerPlan& peer : scenario_.plain_peers) schedule_node_aborts(peer.streams);
    context_.queue.after(scenario_.faults_end, [this] { calm(); });
  }

  void set_partition(const Partition& partition, bool cut) {
    partitioned_ += cut ? 1 : -1;
    peers_->cut(partition, cut);
  }

  void schedule_node_aborts(const std::vector<StreamPlan>& streams) {
    for (const StreamPlan& stream : streams) {
      if (!stream.node_aborts) continue;
      context_.queue.after(stream.start + prng_.between_log(std::chrono::milliseconds(1), std::chrono::seconds(5)),
                           [this, &stream] { abort_at_node(stream); });
    }
  }

  // The node's operator resets a connection.
  void abort_at_node(const StreamPlan& stream) {
    if (!node_.running() || node_.runner().engine().recovering()) {
      context_.queue.after(std::chrono::milliseconds(100), [this, &stream] { abort_at_node(stream); });
      return;
    }
    for (const Flow& flow : oracle_.flows()) {
      if (flow.plan != &stream || !flow.valid) continue;
      for (const stack::ConnectionInfo& info : node_.runner().engine().list()) {
        if (info.tuple != flow.tuple) continue;
        context_.faults.add(Fault::kNodeAbort);
        context_.note("the node aborts stream {}", info.id.value);
        oracle_.node_aborts(flow.tuple);
        node_.runner().call([&](stack::Engine& engine) { engine.abort(info.id, context_.now()); });
        return node_.runner().turn();
      }
    }
  }

  // No more faults: everything must come to its end.
  void calm() {
    context_.note("calm");
    calm_ = true;
    network_.calm();
    node_.calm();
    attacker_.stop();
    restart_if_degraded();
  }

  // What an operator does with a node whose disks had failed, once they are whole again.
  void restart_if_degraded() {
    if (!node_.running()) return context_.queue.after(std::chrono::seconds(1), [this] { restart_if_degraded(); });
    const auto locations = node_.runner().engine().log()->locations();
    const bool degraded = std::ranges::any_of(
        locations, [](const log::LocationStatus& status) { return status.state == log::LocationState::kFailed; });
    if (!degraded) return;
    DeathPlan restart;
    restart.kind = Death::kCleanStop;
    restart.away = std::chrono::milliseconds(50);
    node_.die(restart);
  }

  void heartbeat() {
    context_.queue.after(kHeartbeat, [this] {
      // An ACK cannot leave before its receiver's link address is known either, and a partition hides that.
      const bool excused =
          !node_.running() || node_.runner().engine().recovering() || storage_is_down() || partitioned_ > 0;
      if (excused) oracle_.excuse_lateness();
      // What came since the last time may have been refused before there was room.
      const bool full = node_.running() && storage_is_full();
      if (std::exchange(was_full_, full) || full) oracle_.excuse_refusals();
      oracle_.check_promises();
      if (prng_.one_in(40)) check_streams(context_, oracle_, node_.disks(), node_.tail(), scenario_.retain_bytes);
      if (calm_ && everything_done()) complete_ = true;
      heartbeat();
    });
  }

  // Now, or less than `after` ago.
  bool spell_in_force(std::optional<DiskSpell::Kind> kind, Duration after) const {
    const Duration now = context_.now() - Time{} - std::chrono::seconds(1);
    return std::ranges::any_of(scenario_.disk_spells, [&](const DiskSpell& spell) {
      return spell.from <= now && now <= spell.until + after && (!kind || spell.kind == *kind);
    });
  }

  bool storage_is_down() {
    return spell_in_force(std::nullopt, kHeartbeat) || storage_is_full() ||
           node_.runner().engine().log()->quorum_lost();
  }

  // The node looks for room once a second, and prepares segments when it finds some.
  bool storage_is_full() {
    return spell_in_force(DiskSpell::Kind::kFull, std::chrono::seconds(3)) || node_.runner().engine().log()->full();
  }

  bool everything_done() {
    return peers_->done() && dials_->done() && node_.running() && node_.runner().engine().connections() == 0 &&
           !node_.runner().engine().busy();
  }

  std::string unfinished() {
    std::string text = peers_->unfinished();
    text += dials_->unfinished();
    if (!node_.running()) return text + " (the node is away)";
    for (const stack::ConnectionInfo& info : node_.runner().engine().list()) {
      text += fmt::format(" [node: {}]", sim::unfinished(info));
    }
    return text;
  }

  Scenario scenario_;
  Context context_;
  Network network_;
  Oracle oracle_;
  NodeHost node_;
  Attacker attacker_;
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<NodeDials> dials_;
  Prng prng_;
  int partitioned_ = 0;  // partitions in force
  bool calm_ = false;
  bool was_full_ = false;  // at the last heartbeat
  bool complete_ = false;
};

}  // namespace

WorldResult run_world(std::uint64_t seed, const WorldOptions& options) { return World(seed, options).run(); }

}  // namespace holdfast::sim
