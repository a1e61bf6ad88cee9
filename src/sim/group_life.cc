// A life of a group's node: what src/node/group and src/node/node do, in their order.
#include <algorithm>
#include <array>
#include <utility>

#include "cluster/forwarder.h"
#include "cluster/standby.h"
#include "cluster/successor.h"
#include "sim/engine_runner.h"
#include "sim/group_node.h"
#include "sim/group_watcher.h"

namespace holdfast::sim {

using location::rados::MemoryStore;
using location::rados::Pool;

namespace {

constexpr unsigned kBurst = 64;  // frames in a turn
constexpr Duration kLockBound = std::chrono::seconds(5);
constexpr Duration kTryAgain = std::chrono::milliseconds(500);
constexpr Duration kLookAtHeads = std::chrono::seconds(1);
constexpr Duration kEndBound = std::chrono::seconds(4), kTidyBound = std::chrono::seconds(1);
constexpr Duration kLeastForRelease = std::chrono::milliseconds(100);
constexpr Duration kPassOnFor = std::chrono::seconds(1), kTakenWithin = std::chrono::milliseconds(300);
constexpr Duration kKeeperStarts = std::chrono::milliseconds(10);

}  // namespace

// Its keeper starts it again however it ends, but for a death (ended()).
void GroupNode::live() {
  while (!killed_) {
    run_process();
    store_ = nullptr;
    const Time again = context_.now() + kKeeperStarts;
    while (!killed_ && context_.now() < again) sleep_until(again);
  }
}

void GroupNode::run_process() {
  auto store = std::make_unique<MemoryStore>(pool_.share(), plan_.clock, [this](Time until) { sleep_until(until); });
  store_ = store.get();
  pool_.note_client(store_->client(), place_.number, [this] { step(); });
  context_.note("{} starts, client {}", place_.name, store_->client());
  location::rados::Self self;
  self.identity = self.host = place_.name;
  self.process = life_;
  self.mac = place_.mac.to_string();
  self.lease = scenario_.group.lease;
  auto pool = std::make_unique<Pool>("pool", SharedPool::kLog, std::move(store), std::move(self));
  pool->set_patience({.reads = scenario_.group.pool.patience, .over = {}, .tell = {}});
  auto& owned = *pool;
  if (!stand_by(owned)) return;
  gate::Recovery recovery;
  auto log = open_log(std::move(pool), recovery);
  if (log) serve(std::move(log), std::move(recovery), owned);
}

// Until the log may be taken.
bool GroupNode::stand_by(Pool& pool) {
  cluster::Standby standby({&pool}, 1);
  while (!killed_) {
    const auto view = standby.look();
    if (killed_) return false;
    if (view == cluster::Standby::View::kFree) return true;
    frames_.clear();
    while (!killed_ && local_now() < standby.next_look() && !standby.notified()) {
      (void)pool.store().take();
      pool.store().wait(standby.next_look());
    }
  }
  return false;
}

std::unique_ptr<log::Log> GroupNode::open_log(std::unique_ptr<Pool> pool, gate::Recovery& recovery) {
  std::vector<std::unique_ptr<location::Location>> locations;
  locations.push_back(std::move(pool));
  log::Options options = log_options(scenario_);
  std::array<std::byte, 96> random;
  prng_.fill(random);
  context_.note("{} finds the log free", place_.name);
  auto log = log::Log::open(std::move(locations), options, random, kLockBound, recovery);
  if (killed_) return nullptr;
  if (log) return *std::move(log);
  const Error::Kind kind = log.error().kind;
  context_.note("{} cannot take over: {}", place_.name, log.error().message);
  if (kind == Error::Kind::kUsage || kind == Error::Kind::kIncompatible || kind == Error::Kind::kCorrupt) {
    context_.fail("{} cannot open the log: {}", place_.name, log.error().message);
  }
  store_ = nullptr;  // gone with its pool
  // As node::Group::try_again_after(), but for the doubling: until others have seen our lease end.
  const Duration pause = kind == Error::Kind::kBusy ? Duration{} : std::max(kTryAgain, 2 * scenario_.group.lease);
  const Time again = context_.now() + pause;
  while (!killed_ && context_.now() < again) sleep_until(again);
  return nullptr;
}

stack::Config GroupNode::engine_config() const {
  stack::Config config;
  config.ip.mac = place_.mac;
  config.ip.address = place_.address;
  config.ip.mtu = scenario_.node_mtu;
  config.ip.relayed = true;
  config.nudge = scenario_.group.nudge;
  config.tcp = scenario_.node_tcp;
  config.initial_receive_window = scenario_.node_initial_window;
  config.max_half_open = scenario_.node_max_half_open;
  config.services = {{stack::ServiceKind::kStore, wire::Port{kStorePort}, scenario_.node_ways},
                     {stack::ServiceKind::kEcho, wire::Port{kEchoPort}, scenario_.node_ways}};
  constexpr std::int64_t kSomeDay = 1'700'000'000'000'000'000;
  config.wall_clock =
      static_cast<std::uint64_t>(kSomeDay + context_.now().time_since_epoch().count() + plan_.wall_offset);
  return config;
}

void GroupNode::serve(std::unique_ptr<log::Log> log, gate::Recovery recovery, Pool& pool) {
  ++takeovers_;
  log_ = log.get();
  log_pool_ = &pool;
  durable_ = log_->durable();
  lost_ = wanted_ = told_to_serve_ = starts_anew_ = false;
  look_at_heads_ = Time{};
  serving_ = true;
  context_.note("{} has the log, epoch {} of the pool, {} of the log", place_.name, pool.head().epoch,
                log_->epoch().counter);
  if (has_taken_over) has_taken_over();
  std::array<std::byte, 64> random;
  prng_.fill(random);
  wire::FrameSink& link = *this;
  engine_ = std::make_unique<stack::Engine>(engine_config(), link, std::move(log), std::move(recovery), random,
                                            watcher_.get(), local_now());
  cluster::Tenure tenure({&pool}, 1, log_->stored_on());
  while (!killed_ && !lost_ && !wanted_ && !starts_anew_) {
    turn();
    if (killed_) break;
    look_after(tenure);
    wait_for_work();
  }
  if (!killed_ && wanted_ && !lost_) hand_over();
  if (lost_) context_.faults.add(Fault::kZombie);
  waits_for_frames_ = serving_ = false;
  engine_.reset();
  log_ = nullptr;
  log_pool_ = nullptr;
}

void GroupNode::turn() {
  in_turn_ = true;
  for (unsigned count = 0; count < kBurst && !frames_.empty() && engine_->wants_frames() && !killed_; ++count) {
    Packet packet = std::move(frames_.front());
    frames_.pop_front();
    context_.note("{} <- {}", place_.name, describe(packet));
    if (owns()) oracle_.node_receives(packet);
    give_frame(*engine_, packet, prng_, local_now());
  }
  if (!killed_) engine_->pump(local_now());
  in_turn_ = false;
  if (!killed_) note_durable();
}

// As node::Group::look_after().
void GroupNode::look_after(cluster::Tenure& tenure) {
  Pool& pool = *log_pool_;
  if (!engine_->recovering() && !std::exchange(told_to_serve_, true)) pool.watch_head(Pool::Role::kServes);
  tenure.look();
  if (tenure.lost()) {
    lost_ = true;
    context_.note("{}: another node has taken over", place_.name);
    return;
  }
  if (log_->quorum_lost()) {
    context_.fail("{}: the log has failed, and nobody has taken it: {}", place_.name, log_->locations()[0].reason);
  }
  const Time now = local_now();
  const bool due = now >= look_at_heads_;
  if (due) look_at_heads_ = now + kLookAtHeads;
  if (pool.store().notified() || due) pool.begin_look();
  const auto head = pool.take_look();
  if (!head || !*head || !(*head)->wanted || !told_to_serve_) return;
  wanted_ = true;
  context_.note("{} is asked to hand over", place_.name);
}

// As shard::Shard::turn() sleeps; a node that is stopped in the middle of its turn is so here.
void GroupNode::wait_for_work() {
  if (stopper_ && holding_) {
    context_.faults.add(Fault::kNodeStopped);
    context_.note("{} is stopped, with {} frames that it has not sent", place_.name, held_.size());
    stopped_until_ = context_.now() + stopper_->event.lasts;
    stopper_.reset();
    holding_ = false;
  }
  if (lost_ || wanted_ || starts_anew_) return;
  const Time soon = context_.now() + std::chrono::microseconds(1);
  waits_for_frames_ = engine_->wants_frames();
  Time until = std::min({plan_.clock.when(engine_->deadline()), store_->wakes_at(), plan_.clock.when(look_at_heads_)});
  if (waits_for_frames_ && !frames_.empty()) until = soon;
  sleep_until(std::max(until, soon));
  waits_for_frames_ = false;
}

// As node::Node::stop(), node::settle() and node::Group::release().
void GroupNode::hand_over() {
  Pool& pool = *log_pool_;
  const Time bound = local_now() + kEndBound;
  const auto work_until = [&](Time until, const auto& done) {
    engine_->pump(local_now());
    while (!killed_ && !done() && local_now() < until) {
      note_durable();
      (void)store_->notified();  // or it would wake us for ever
      const Time next = std::min(until, engine_->deadline());
      sleep_until(std::max(std::min(plan_.clock.when(next), store_->wakes_at()),
                           context_.now() + std::chrono::microseconds(1)));
      if (!killed_) engine_->pump(local_now());
    }
    if (!killed_) note_durable();
  };
  pool.begin_roll_call();
  engine_->prepare_stop(local_now());
  const Lsn last = log_->barrier();
  work_until(bound, [&] { return log_->durable() >= last || log_->quorum_lost(); });
  if (killed_) return;
  const bool settled = log_->durable() >= last;
  work_until(bound, [&] { return !engine_->busy(); });
  if (!killed_ && settled) work_until(std::min(bound, local_now() + kTidyBound), [&] { return pool.idle(); });
  if (killed_ || !settled || engine_->busy()) return;
  context_.note("{} gives the log back", place_.name);
  const bool given_back = pool.release(std::max(bound - local_now(), kLeastForRelease)).has_value();
  if (!killed_ && given_back) pass_on();
}

// As node::Group::pass_on().
void GroupNode::pass_on() {
  struct Sink final : wire::FrameSink {
    explicit Sink(GroupNode& of) : node(of) {}
    void transmit(const wire::TxFrame& frame) override {
      if (!node.killed_) node.put_on_the_wire(gather(frame));
    }
    GroupNode& node;
  };
  context_.faults.add(Fault::kHandOver);
  Pool& pool = *log_pool_;
  Sink sink(*this);
  const Time begun = local_now();
  std::optional<cluster::Forwarder> forwarder;
  while (!killed_ && local_now() < begun + (forwarder ? kPassOnFor : kTakenWithin)) {
    (void)pool.poll({});
    if (!forwarder) {
      if (pool.take_roll_call() == false) break;
      if (const auto taker = cluster::look_for_successor(pool, place_.name)) {
        forwarder.emplace(place_.mac, place_.address.address, taker->mac);
      }
    }
    while (forwarder && !frames_.empty()) {
      Packet packet = std::move(frames_.front());
      frames_.pop_front();
      wire::RxFrame frame;
      frame.head = packet.bytes;
      frame.checksum_trusted = packet.partial_checksum;
      frame.gso_size = packet.gso_size;
      if (forwarder->pass_on(frame, sink)) context_.faults.add(Fault::kPassedOn);
    }
    pool.store().wait(local_now() + std::chrono::milliseconds(forwarder ? 20 : 2));
  }
}

}  // namespace holdfast::sim
