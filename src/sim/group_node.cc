// The process of a group's node: when it runs, its frames, and how it dies or is stopped in the middle of something.
#include "sim/group_node.h"

#include <algorithm>
#include <utility>

#include "sim/group_watcher.h"

namespace holdfast::sim {

namespace {

constexpr std::size_t kDeviceQueue = 1000;  // frames

}  // namespace

GroupNode::GroupNode(Context& context, Network& network, Oracle& oracle, SharedPool& pool, Place place,
                     const Scenario& scenario, Prng prng)
    : context_(context),
      network_(network),
      oracle_(oracle),
      pool_(pool),
      place_(std::move(place)),
      scenario_(scenario),
      plan_(scenario.group.nodes[place_.number]),
      prng_(prng),
      port_(network.attach(place_.name, place_.mac, [this](Packet packet) { receive(std::move(packet)); })),
      watcher_(std::make_unique<Watcher>(*this)) {
  // Its own line is perfect: faults are those of its peers' lines.
  network.to_switch(port_).delay = network.from_switch(port_).delay = Duration::zero();
  network.to_switch(port_).pass_whole = network.from_switch(port_).pass_whole = 1'000'000;
}

GroupNode::~GroupNode() {
  // The world ends: what lies on the fiber's stack is destroyed like at a death.
  die();
  while (running()) fiber_->resume();
}

// ---- Time ----

void GroupNode::start() {
  ++life_;
  killed_ = false;
  sleeps_until_ = context_.now();
  fiber_ = std::make_unique<Fiber>([this] { live(); });
  schedule();
}

Time GroupNode::wakes_at() const {
  if (!running()) return kNever;
  const bool ready = store_ != nullptr && store_->ready();
  return std::max(ready ? context_.now() : sleeps_until_, stopped_until_);
}

void GroupNode::wake() { schedule(); }

void GroupNode::schedule() {
  const Time when = wakes_at();
  if (when == kNever || when >= scheduled_) return;
  scheduled_ = std::max(when, context_.now());
  context_.queue.at(scheduled_, [this, when = scheduled_] {
    if (when != scheduled_) return;
    scheduled_ = kNever;
    run();
  });
}

void GroupNode::run() {
  if (!running()) return;
  if (wakes_at() > context_.now()) return schedule();
  pool_.catch_up();
  for (Packet& packet : std::exchange(held_, {})) {
    context_.faults.add(Fault::kZombieFrames);
    put_on_the_wire(std::move(packet));
  }
  fiber_->resume();
  pool_.wake();
  if (!running()) return ended();
  schedule();
}

// Or until something comes for it; so always in a loop.
void GroupNode::sleep_until(Time when) {
  if (killed_) return;
  if (serving_) note_durable();  // in the middle of a call, where it reads
  sleeps_until_ = when;
  fiber_->pause();
  if (in_turn_ && !killed_) oracle_.turn_goes_on();
}

// ---- Death and stopping ----

void GroupNode::step() {
  if (!fuse_ || killed_) return;
  if (fuse_->steps-- > 0) return;
  context_.faults.add(Fault::kCrashMidCall);
  death_ = fuse_->event;
  die();
}

// From here on nothing of it reaches anybody; the fiber runs to its end when it is resumed next.
void GroupNode::die() {
  if (killed_ || !running()) return;
  context_.note("{} is killed", place_.name);
  killed_ = true;
  fuse_.reset();
  stopper_.reset();
  holding_ = false;
  held_.clear();
  stopped_until_ = Time{};
  if (store_ != nullptr) pool_.cluster().kill(store_->client());
}

void GroupNode::kill(const GroupEvent& event) {
  if (!running()) return;
  if (event.mid_call && !stopped()) {
    fuse_ = Fuse{*event.mid_call, event};
    return;
  }
  death_ = event;
  die();
  sleeps_until_ = context_.now();
  run();
}

void GroupNode::ended() {
  context_.faults.add(Fault::kKill);
  if (!death_.keeps_frames) {
    context_.faults.add(Fault::kFramesLost, frames_.size());
    frames_.clear();
  }
  context_.queue.after(calm_ ? std::chrono::milliseconds(1) : death_.lasts, [this] {
    if (!running()) start();
  });
}

void GroupNode::stop(const GroupEvent& event) {
  if (!running() || stopped()) return;
  if (event.mid_call && engine_ != nullptr) {
    stopper_ = Fuse{*event.mid_call, event};
    // Nothing to say, nothing to be stopped in.
    context_.queue.after(scenario_.group.lease, [this, event] {
      if (!std::exchange(stopper_, std::nullopt) || holding_) return;
      GroupEvent between_calls = event;
      between_calls.mid_call.reset();
      stop(between_calls);
    });
    return;
  }
  context_.faults.add(Fault::kNodeStopped);
  context_.note("{} is stopped", place_.name);
  stopped_until_ = context_.now() + event.lasts;
}

void GroupNode::calm() {
  calm_ = true;
  fuse_.reset();
  stopper_.reset();
  stopped_until_ = Time{};
  schedule();
}

// ---- Frames ----

void GroupNode::receive(Packet packet) {
  if (!running() && !death_.keeps_frames) return context_.faults.add(Fault::kFramesLost);
  if (frames_.size() >= kDeviceQueue) return context_.faults.add(Fault::kDropped);
  if (!running() || stopped()) context_.faults.add(Fault::kFramesQueued);
  frames_.push_back(std::move(packet));
  if (!running() || !waits_for_frames_) return;
  sleeps_until_ = std::min(sleeps_until_, context_.now() + prng_.between(Duration::zero(), scenario_.node_burst));
  schedule();
}

void GroupNode::transmit(const wire::TxFrame& frame) {
  if (killed_ || !serving_) return;
  step();
  if (killed_) return;
  note_durable();
  Packet packet = gather(frame);
  judge(packet);
  if (stopper_ && !holding_ && stopper_->steps-- == 0) holding_ = true;
  if (holding_) {
    context_.note("{} has not sent yet: {}", place_.name, describe(packet));
    return held_.push_back(std::move(packet));
  }
  put_on_the_wire(std::move(packet));
}

void GroupNode::put_on_the_wire(Packet packet) {
  context_.note("{} -> {}", place_.name, describe(packet));
  network_.send(port_, std::move(packet));
}

// ---- What the oracle is told ----

bool GroupNode::owns() const {
  return serving_ && log_ != nullptr && !killed_ && log_->epoch() == oracle_.model().epoch();
}

bool GroupNode::healthy() const {
  return owns() && !stopped() && !engine_->recovering() && !log_pool_->fenced() && !log_pool_->lapsed() &&
         !log_pool_->unsettled() && !log_->full();
}

void GroupNode::judge(const Packet& packet) {
  if (owns()) return oracle_.node_sends(packet);
  context_.note("{} is a former owner", place_.name);
  oracle_.former_owner_sends(packet, log_->epoch());
}

// An owner whose lease is over reports nothing as done (by no clock's count: none is off by more than kMostDrift).
void GroupNode::note_durable() {
  if (log_->durable() == durable_) return;
  durable_ = log_->durable();
  const Duration since = context_.now() - pool_.renewed(log_pool_->head().epoch);
  if (since > scenario_.group.lease * 93 / 100) {
    context_.fail("{} reports batch {} as stored {} ms after its last renewal, with a lease of {} ms", place_.name,
                  durable_.value, since / std::chrono::milliseconds(1),
                  scenario_.group.lease / std::chrono::milliseconds(1));
  }
  if (owns()) oracle_.storage_moved();
}

}  // namespace holdfast::sim
