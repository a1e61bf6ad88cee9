// The node between its birth and its death: frames, disk completions, and the fuse that kills it in the middle of a
// call.
#include "sim/node_host.h"

#include <algorithm>

#include "sim/node_watcher.h"

namespace holdfast::sim {

NodeHost::NodeHost(Context& context, Network& network, Oracle& oracle, const Place& place, const Scenario& scenario,
                   Prng prng)
    : context_(context),
      network_(network),
      oracle_(oracle),
      place_(place),
      scenario_(scenario),
      prng_(prng),
      port_(network.attach("node", place.mac, [this](Packet packet) { receive(std::move(packet)); })),
      watcher_(std::make_unique<Watcher>(*this)),
      runner_(context, Prng(prng_.next(), "runner"),
              {.leaves = [this](Packet packet) { leaves(std::move(packet)); },
               .arrives =
                   [this](const Packet& packet) {
                     context_.note("node <- {}{}", packet.forged ? "(forged) " : "", describe(packet));
                     oracle_.node_receives(packet);
                   },
               .before_call = [this] { before_call(); },
               .after_call = [this] { after_call(); }}) {
  // The node's own line is perfect: faults are those of its peers' lines.
  network.to_switch(port_).delay = network.from_switch(port_).delay = Duration::zero();
  network.to_switch(port_).pass_whole = network.from_switch(port_).pass_whole = 1'000'000;
  runner_.burst = scenario.node_burst;
  std::vector<const Contents*> contents;
  for (unsigned number = 0; number < scenario.disks; ++number) {
    auto& disk =
        *disks_.emplace_back(std::make_unique<Disk>(context, oracle.model(), number, Prng(prng_.next(), "disk")));
    disk.faults = scenario.is_bad(number) ? scenario.bad_disk : scenario.disk;
    if (scenario.disk_capacity != 0) disk.memory().faults.capacity = scenario.disk_capacity;
    contents.push_back(&disk);
  }
  oracle.model().watch(std::move(contents));
}

NodeHost::~NodeHost() {
  // The world ends: nothing that happens now is watched.
  after_death = after_start = {};
}

// ---- Frames ----

void NodeHost::receive(Packet packet) {
  if (runner_.running()) return runner_.frame(std::move(packet));
  if (!keeping_ || packet.for_this_life) return context_.faults.add(Fault::kFramesLost);
  if (kept_.size() >= scenario_.keeper_queue) return context_.faults.add(Fault::kDropped);
  context_.faults.add(Fault::kFramesQueued);
  kept_.push_back(std::move(packet));
}

void NodeHost::leaves(Packet packet) {
  if (dead_in_call_) return;
  if (fuse_ && steps_taken() >= fuse_->steps) {
    dead_in_call_ = true;
    issued_at_death_.clear();
    for (const auto& disk : disks_) issued_at_death_.push_back(disk->last_issued());
    runner_.halt();
    return;
  }
  ++frames_in_call_;
  context_.note("node -> {}", describe(packet));
  oracle_.node_sends(packet);
  network_.send(port_, std::move(packet));
}

// ---- Around each call ----

void NodeHost::before_call() {
  frames_in_call_ = 0;
  issued_before_call_.clear();
  for (const auto& disk : disks_) issued_before_call_.push_back(disk->last_issued());
}

std::uint64_t NodeHost::steps_taken() const {
  std::uint64_t steps = frames_in_call_;
  for (std::size_t i = 0; i < disks_.size(); ++i) steps += disks_[i]->last_issued() - issued_before_call_[i];
  return steps;
}

void NodeHost::after_call() {
  if (fuse_ && !dead_in_call_) {
    const std::uint64_t steps = steps_taken();
    if (steps < fuse_->steps) {
      fuse_->steps -= steps;
    } else {
      // After the last frame of the call: some of the writes were begun, some were not.
      dead_in_call_ = true;
      issued_at_death_.clear();
      for (std::size_t i = 0; i < disks_.size(); ++i) {
        issued_at_death_.push_back(prng_.between(issued_before_call_[i], disks_[i]->last_issued()));
      }
    }
  }
  if (dead_in_call_) {
    context_.faults.add(Fault::kCrashMidCall);
    const DeathPlan plan = fuse_->plan;
    return end_life(plan);
  }
  for (const auto& disk : disks_) disk->notice_new(context_.now());
  wake_for_disks();
}

// ---- Disks ----

void NodeHost::wake_for_disks() {
  Time next = kNever;
  for (const auto& disk : disks_) next = std::min(next, disk->next_end());
  if (next == kNever || next >= disk_wake_) return;
  disk_wake_ = std::max(next, context_.now());
  context_.queue.at(disk_wake_, [this, when = disk_wake_] {
    if (when != disk_wake_) return;
    disk_wake_ = kNever;
    disk_event();
  });
}

void NodeHost::disk_event() {
  const Lsn durable = oracle_.model().durable();
  bool any = false;
  for (const auto& disk : disks_) any |= disk->run(context_.now());
  if (oracle_.model().durable() != durable) oracle_.storage_moved();
  if (any && runner_.running()) return runner_.turn();
  wake_for_disks();
}

void NodeHost::begin_spell(const DiskSpell& spell) {
  for (unsigned number = 0; number < disks_.size(); ++number) {
    if (spell.disk && *spell.disk != number) continue;
    Disk& disk = *disks_[number];
    switch (spell.kind) {
      case DiskSpell::Kind::kStall:
        context_.faults.add(Fault::kDiskStall);
        disk.stall_until(context_.now() + (spell.until - spell.from));
        break;
      case DiskSpell::Kind::kFull:
        context_.faults.add(Fault::kDiskFull);
        disk.memory().faults.full = true;
        break;
      case DiskSpell::Kind::kFail:
        context_.faults.add(Fault::kDiskFailed);
        disk.memory().faults.failing = true;
        break;
    }
    context_.note("{}: spell of kind {} begins", disk.name(), static_cast<int>(spell.kind));
  }
}

void NodeHost::end_spell(const DiskSpell& spell) {
  for (unsigned number = 0; number < disks_.size(); ++number) {
    if (spell.disk && *spell.disk != number) continue;
    auto& faults = disks_[number]->memory().faults;
    if (spell.kind == DiskSpell::Kind::kFull) faults.full = false;
    if (spell.kind == DiskSpell::Kind::kFail) faults.failing = false;
    context_.note("{}: spell of kind {} ends", disks_[number]->name(), static_cast<int>(spell.kind));
  }
}

void NodeHost::calm() {
  for (const auto& disk : disks_) {
    disk->faults.write_error = disk->faults.slow = 0;
    auto& faults = disk->memory().faults;
    faults.full = faults.failing = faults.failing_reads = false;
    faults.capacity = UINT64_MAX;
    disk->memory().heal();
  }
}

}  // namespace holdfast::sim
