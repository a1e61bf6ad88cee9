#include "sim/group_world.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "location/rados/head.h"
#include "sim/context.h"
#include "sim/group_node.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/scenario.h"
#include "sim/shared_pool.h"
#include "sim/stream_check.h"
#include "sim/world_parts.h"

namespace holdfast::sim {

namespace {

namespace rados = location::rados;

constexpr std::uint64_t kMaxEvents = 8'000'000;

constexpr unsigned kService = 1, kFirstNode = 100;

class GroupWorld {
 public:
  GroupWorld(std::uint64_t seed, const WorldOptions& options)
      : scenario_(choose_group_scenario(seed)),
        context_(options.trace),
        network_(context_, Prng(seed, "network")),
        oracle_(context_, address_of(kService), scenario_.node_tcp.msl, 1, 1, scenario_.node_max_half_open),
        pool_(context_, oracle_.model(), scenario_.group, Prng(seed, "pool")),
        operator_(pool_.share()),
        prng_(seed, "world") {
    context_.note("{}", describe(scenario_));
    oracle_.watch_owners(kMostDrift);
    pool_.moved = [this] {
      for (const auto& node : nodes_) node->wake();
    };
    add_nodes(seed);
    peers_ = std::make_unique<Peers>(context_, network_, oracle_, scenario_, address_of(kService));
    schedule_faults();
    heartbeat();
  }

  WorldResult run() {
    run_to_the_end(context_, scenario_, kMaxEvents, complete_, [this] { return unfinished(); });
    check_log();
    return result_of(context_, scenario_, oracle_);
  }

 private:
  void add_nodes(std::uint64_t seed) {
    for (unsigned i = 0; i < scenario_.group.nodes.size(); ++i) {
      GroupNode::Place place{fmt::format("node{}", i), i, mac_of(kFirstNode + i), {address_of(kService), 24}};
      auto& node = *nodes_.emplace_back(std::make_unique<GroupNode>(
          context_, network_, oracle_, pool_, std::move(place), scenario_, Prng(seed ^ i, "node")));
      node.has_taken_over = [this] { check_log(); };
      node.start();
    }
  }

  // ---- Faults ----

  void schedule_faults() {
    for (const GroupEvent& event : scenario_.group.events) {
      context_.queue.after(event.at, [this, &event] { happen(event); });
    }
    for (const Partition& partition : scenario_.partitions) {
      context_.queue.after(partition.from, [this, &partition] { set_partition(partition, true); });
      context_.queue.after(partition.until, [this, &partition] { set_partition(partition, false); });
    }
    context_.queue.after(scenario_.faults_end, [this] { calm(); });
  }

  void happen(const GroupEvent& event) {
    using Kind = GroupEvent::Kind;
    const unsigned number = event.node.value_or(owner());
    GroupNode& node = *nodes_[number];
    const Time until = context_.now() + event.lasts;
    context_.note("event {} at {}, for {} ms", static_cast<int>(event.kind), node.name(),
                  event.lasts / std::chrono::milliseconds(1));
    switch (event.kind) {
      case Kind::kKill:
        return node.kill(event);
      case Kind::kStop:
        return node.stop(event);
      case Kind::kCutFrames:
        return cut_frames(node, event);
      case Kind::kCutPool:
        return pool_.cut_off(number, until);
      case Kind::kHandOver:
        return ask_for_log();
      case Kind::kNoRenewals:
        return pool_.lose_renewals(until);
      case Kind::kSlowPool:
        return pool_.slow_down(until);
      case Kind::kCount:
        break;
    }
  }

  // The node that owns the log, or did last.
  unsigned owner() {
    for (unsigned i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i]->owns()) last_owner_ = i;
    }
    return last_owner_;
  }

  void cut_frames(const GroupNode& node, const GroupEvent& event) {
    context_.faults.add(Fault::kFramesCut);
    set_cut(node.port(), true);
    context_.queue.after(event.lasts, [this, port = node.port()] { set_cut(port, false); });
  }

  void set_cut(unsigned port, bool cut) {
    cuts_ += cut ? 1 : -1;
    network_.to_switch(port).cut_off = network_.from_switch(port).cut_off = cut;
  }

  // What `holdfast handover` does.
  void ask_for_log() {
    pool_.catch_up();
    (void)operator_.take();
    if (pool_.epoch() == 0) return;
    operator_.submit(1, rados::handover_request(SharedPool::kLog, pool_.epoch()));
    operator_.notify(rados::head_object(SharedPool::kLog));
    pool_.wake();
  }

  void set_partition(const Partition& partition, bool cut) {
    cuts_ += cut ? 1 : -1;
    peers_->cut(partition, cut);
  }

  // No more faults: everything must come to its end.
  void calm() {
    context_.note("calm");
    calm_ = true;
    network_.calm();
    pool_.calm();
    for (const auto& node : nodes_) node->calm();
  }

  // ---- From time to time ----

  void heartbeat() {
    context_.queue.after(kHeartbeat, [this] {
      if (cuts_ > 0 || !nodes_[owner()]->healthy()) oracle_.excuse_lateness();
      oracle_.check_promises();
      if (prng_.one_in(40)) check_log();
      if (calm_ && everything_done()) complete_ = true;
      heartbeat();
    });
  }

  // Everything that is durable, or was acknowledged, is read back from the pool as it is.
  void check_log() {
    pool_.catch_up();
    const auto reader = pool_.snapshot();
    check_streams(context_, oracle_, {reader.get()}, Tail::kWhole, scenario_.retain_bytes);
  }

  bool everything_done() {
    if (!peers_->done()) return false;
    GroupNode& node = *nodes_[owner()];
    return node.healthy() && node.engine()->connections() == 0 && !node.engine()->busy();
  }

  std::string unfinished() {
    std::string text = peers_->unfinished();
    for (const auto& node : nodes_) {
      text += fmt::format(" [{}{}{}{}]", node->name(), node->running() ? "" : " away", node->owns() ? " owns" : "",
                          node->healthy() ? " healthy" : "");
      if (node->engine() == nullptr) continue;
      for (const stack::ConnectionInfo& info : node->engine()->list()) {
        text += fmt::format(" [{}]", sim::unfinished(info));
      }
    }
    return text;
  }

  Scenario scenario_;
  Context context_;
  Network network_;
  Oracle oracle_;
  SharedPool pool_;
  rados::MemoryStore operator_;
  std::vector<std::unique_ptr<GroupNode>> nodes_;
  std::unique_ptr<Peers> peers_;
  Prng prng_;
  unsigned last_owner_ = 0;
  int cuts_ = 0;  // in force
  bool calm_ = false, complete_ = false;
};

}  // namespace

WorldResult run_group_world(std::uint64_t seed, const WorldOptions& options) { return GroupWorld(seed, options).run(); }

}  // namespace holdfast::sim
