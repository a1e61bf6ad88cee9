// The durable node: an engine on a log on simulated disks, that dies and comes back. Between its lives the disks settle
// what was under way, and a keeper may hold the frames that arrive.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/context.h"
#include "sim/disk.h"
#include "sim/engine_runner.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/scenario.h"
#include "sim/stream_check.h"

namespace holdfast::sim {

class NodeHost {
 public:
  struct Place {
    wire::MacAddress mac;
    wire::Ipv4Prefix address;
  };

  NodeHost(Context& context, Network& network, Oracle& oracle, const Place& place, const Scenario& scenario, Prng prng);
  ~NodeHost();

  unsigned port() const { return port_; }
  bool running() const { return runner_.running(); }
  EngineRunner& runner() { return runner_; }
  std::vector<std::unique_ptr<Disk>>& disks() { return disks_; }

  // ---- The script ----
  void start() { begin_life(); }
  // Dies as planned, and comes back after its time away.
  void die(const DeathPlan& plan);
  void begin_spell(const DiskSpell& spell);
  void end_spell(const DiskSpell& spell);
  // No more faults of its own from here on: disks are quick and whole.
  void calm();

  // Called after each death, when the disks have settled, and at each start.
  std::function<void()> after_death;
  std::function<void()> after_start;
  // Of the log, for those who read it now.
  Tail tail() const { return tail_; }
  std::function<void(StreamId, const wire::FourTuple&, tcp::CloseReason)> closed;

 private:
  class Watcher;

  // Where the node may die in the middle of what it does.
  struct Fuse {
    std::uint64_t steps = 0;  // left
    DeathPlan plan;
  };

  // -- A life (node_life.cc)
  void begin_life();
  Result<std::unique_ptr<log::Log>> open_log(gate::Recovery& recovery);
  Duration pass_time(Disk& disk, Duration at_most);
  bool burn_in_recovery();
  void run_engine();
  void start_failed(const Error& error);
  stack::Config engine_config() const;

  // -- Calls into the engine
  void receive(Packet packet);
  void leaves(Packet packet);
  void before_call();
  void after_call();
  void wake_for_disks();
  void disk_event();
  std::uint64_t steps_taken() const;

  // -- A death (node_death.cc)
  void stop_cleanly(const DeathPlan& plan, Time give_up);
  void end_life(const DeathPlan& plan);
  bool are_others_behind() const;
  void die_again(const DeathPlan& plan, Time give_up);
  void settle_disks(const DeathPlan& plan, Time now);
  void damage_disks(const DeathPlan& plan);
  void rot(Disk& disk);
  void rot_in_use(Disk& disk);
  void forge_tail(unsigned disk);
  bool must_start() const;

  Context& context_;
  Network& network_;
  Oracle& oracle_;
  Place place_;
  const Scenario& scenario_;
  Prng prng_;
  unsigned port_;
  std::vector<std::unique_ptr<Disk>> disks_;
  std::unique_ptr<Watcher> watcher_;
  EngineRunner runner_;

  std::optional<Fuse> fuse_;                       // in the engine's calls
  std::optional<Fuse> recovery_fuse_;              // in the next start
  std::vector<std::uint64_t> issued_before_call_;  // by disk
  std::uint64_t frames_in_call_ = 0;
  std::vector<std::uint64_t> issued_at_death_;  // by disk, when the node died in mid-call
  bool dead_in_call_ = false;
  DeathPlan death_;          // the last one
  std::deque<Packet> kept_;  // by the keeper
  bool keeping_ = true;
  std::uint64_t life_ = 0;

  // While the log is opened, time runs on by itself: everything in it happens between two events of the world.
  Time opening_;
  bool died_opening_ = false;
  bool starting_ = false;
  std::unique_ptr<log::Log> opened_;  // waits for its moment to run
  gate::Recovery recovery_;
  std::int64_t wall_offset_ = 0;  // nanoseconds
  Time disk_wake_ = kNever;
  unsigned failed_starts_ = 0;
  Tail tail_ = Tail::kWhole;
};

}  // namespace holdfast::sim
