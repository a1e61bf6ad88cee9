// A node of a service group: stands by, takes the log, serves, hands over, and begins anew, with the production code of
// location/rados, cluster, log and stack; what src/node does with processes and devices is done here in simulated time.
//
// It blocks where a node blocks (while it looks at the head, takes the log, reads it), so it is a fiber. It can be
// killed at any operation and any frame, and stopped like by SIGSTOP: then nothing of it runs, while what it has sent
// goes on, and when it wakes up it goes on as if nothing had been.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster/tenure.h"
#include "location/rados/pool.h"
#include "sim/context.h"
#include "sim/fiber.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/packet.h"
#include "sim/scenario.h"
#include "sim/shared_pool.h"
#include "stack/engine.h"

namespace holdfast::sim {

class GroupNode final : private wire::FrameSink {
 public:
  struct Place {
    std::string name;
    unsigned number = 0;
    wire::MacAddress mac;
    wire::Ipv4Prefix address;  // the group's
  };

  GroupNode(Context& context, Network& network, Oracle& oracle, SharedPool& pool, Place place, const Scenario& scenario,
            Prng prng);
  ~GroupNode() override;

  // ---- The script ----
  void start();
  void kill(const GroupEvent& event);
  void stop(const GroupEvent& event);
  // No more faults of its own; it wakes up if it was stopped.
  void calm();

  // Something may have come for it.
  void wake();

  unsigned port() const { return port_; }
  const std::string& name() const { return place_.name; }
  bool running() const { return fiber_ && !fiber_->ended(); }
  bool stopped() const { return stopped_until_ > context_.now(); }
  // It has the log's newest epoch, and speaks.
  bool owns() const;
  // … and nothing keeps it from storing.
  bool healthy() const;
  // Null while it does not serve.
  stack::Engine* engine() { return engine_.get(); }
  std::uint64_t takeovers() const { return takeovers_; }
  // Called when it has opened the log, and has not spoken yet.
  std::function<void()> has_taken_over;

 private:
  class Watcher;

  // After so many steps (frames, operations) something is to happen in the middle of a call.
  struct Fuse {
    std::uint64_t steps = 0;
    GroupEvent event;
  };

  // -- The process and its time (group_node.cc)
  Time local_now() const { return store_->now(); }
  Time wakes_at() const;
  void schedule();
  void run();
  void sleep_until(Time when);
  void sleep_for(Duration duration) { sleep_until(context_.now() + duration); }
  void receive(Packet packet);
  void transmit(const wire::TxFrame& frame) override;
  void put_on_the_wire(Packet packet);
  void judge(const Packet& packet);
  void note_durable();
  void step();
  void die();
  void ended();

  // -- A life (group_life.cc)
  void live();
  void run_process();
  bool stand_by(location::rados::Pool& pool);
  std::unique_ptr<log::Log> open_log(std::unique_ptr<location::rados::Pool> pool, gate::Recovery& recovery);
  stack::Config engine_config() const;
  void serve(std::unique_ptr<log::Log> log, gate::Recovery recovery, location::rados::Pool& pool);
  void turn();
  void look_after(cluster::Tenure& tenure);
  void wait_for_work();
  void hand_over();
  void pass_on();

  Context& context_;
  Network& network_;
  Oracle& oracle_;
  SharedPool& pool_;
  Place place_;
  const Scenario& scenario_;
  const GroupNodePlan& plan_;
  Prng prng_;
  unsigned port_;
  std::unique_ptr<Watcher> watcher_;

  std::unique_ptr<Fiber> fiber_;
  std::uint64_t life_ = 0;
  bool killed_ = false;
  GroupEvent death_;
  bool calm_ = false;
  Time sleeps_until_{}, stopped_until_{}, scheduled_ = kNever;
  bool waits_for_frames_ = false;
  std::optional<Fuse> fuse_;     // kKill
  std::optional<Fuse> stopper_;  // kStop
  bool holding_ = false;         // stopped in the middle of this call: its frames leave when it wakes up
  std::deque<Packet> held_;
  std::deque<Packet> frames_;  // in its device

  // Of the process.
  location::rados::MemoryStore* store_ = nullptr;
  location::rados::Pool* log_pool_ = nullptr;
  log::Log* log_ = nullptr;
  std::unique_ptr<stack::Engine> engine_;
  bool serving_ = false, told_to_serve_ = false;
  bool in_turn_ = false;  // the engine works
  Lsn durable_;
  bool lost_ = false, wanted_ = false;
  bool starts_anew_ = false;  // a connection could not be brought back, since the pool did not answer
  Time look_at_heads_{};
  std::uint64_t takeovers_ = 0;
};

}  // namespace holdfast::sim
