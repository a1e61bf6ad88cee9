#include "sim/disk.h"

#include <algorithm>

#include "base/assert.h"

namespace holdfast::sim {

using location::Ending;
using location::Fate;
using location::PendingOperation;

Disk::Disk(Context& context, DiskWatcher& watcher, unsigned number, Prng prng)
    : context_(context),
      watcher_(watcher),
      number_(number),
      prng_(prng),
      memory_(std::make_shared<location::MemoryDisk>(fmt::format("disk{}", number))) {
  memory_->faults.automatic = false;
}

void Disk::notice_new(Time now) {
  for (const PendingOperation& operation : memory_->pending()) {
    if (operation.id <= noticed_) continue;
    noticed_ = operation.id;
    Duration takes = faults.latency + prng_.between(Duration::zero(), faults.spread);
    if (prng_.ppm(faults.slow)) {
      context_.faults.add(Fault::kSlowDisk);
      takes *= static_cast<std::int64_t>(prng_.between(2, 100));
    }
    due_[operation.id] = {now + takes, false};
    watcher_.begun(number_, operation);
  }
}

Time Disk::next_end() const {
  Time earliest = kNever;
  for (const auto& [id, due] : due_) earliest = std::min(earliest, due.when);
  return earliest == kNever ? kNever : std::max(earliest, stalled_until_);
}

bool Disk::run(Time now) {
  if (is_stalled(now)) return false;
  bool any = false;
  for (;;) {
    const auto first = std::ranges::min_element(due_, {}, [](const auto& entry) { return entry.second.when; });
    if (first == due_.end() || first->second.when > now) return any;
    if (first != due_.begin()) context_.faults.add(Fault::kReorderedWrite);
    const std::uint64_t id = first->first;
    const Due due = first->second;
    due_.erase(first);
    end(id, due);
    any = true;
  }
}

void Disk::end(std::uint64_t id, const Due& due) {
  const auto& list = due.late ? memory_->late() : memory_->pending();
  const auto found = std::ranges::find(list, id, &PendingOperation::id);
  if (found == list.end()) return;
  const auto index = static_cast<std::size_t>(found - list.begin());
  context_.trace.fold(id);
  if (due.late) {
    const bool lands = !prng_.one_in(8);
    context_.faults.add(lands ? Fault::kLateWrite : Fault::kLateWriteLost);
    context_.note("{}: late operation {} of a dead process {}", name(), id, lands ? "lands" : "never lands");
    memory_->land_late(index, lands);
    if (lands && !memory_->faults.failing) watcher_.stored(number_, id);
    return;
  }
  const Ending ending = ending_of(*found);
  const bool is_stored = ending.kind == Ending::Kind::kDone && !memory_->faults.failing;
  memory_->complete(index, ending);
  if (is_stored) watcher_.stored(number_, id);
}

Ending Disk::ending_of(const PendingOperation& operation) {
  Ending ending;
  if (!prng_.ppm(faults.write_error)) return ending;
  context_.faults.add(Fault::kWriteError);
  ending.kind = std::array{Ending::Kind::kError, Ending::Kind::kErrorTorn, Ending::Kind::kErrorStored}[prng_.below(3)];
  ending.tear = random_tear(operation.size);
  context_.note("{}: operation {} ends in an error", name(), operation.id);
  return ending;
}

location::Tear Disk::random_tear(std::uint64_t bytes) {
  location::Tear tear;
  const std::uint64_t sectors = bytes / location::kSector;
  if (prng_.one_in(3)) {
    tear.scatter = prng_.next() | 1U;
    return tear;
  }
  tear.first = static_cast<std::uint32_t>(prng_.below(sectors + 1));
  tear.last = static_cast<std::uint32_t>(prng_.between(tear.first, sectors));
  if (prng_.one_in(2)) tear.first = 0;
  tear.inverted = prng_.one_in(3);
  return tear;
}

void Disk::stall_until(Time when) { stalled_until_ = std::max(stalled_until_, when); }

std::uint64_t Disk::last_issued() const {
  const auto& pending = memory_->pending();
  return std::max(noticed_, pending.empty() ? 0 : pending.back().id);
}

void Disk::kill(std::uint64_t last_issued, Time now, Landing landing) {
  std::vector<std::uint64_t> done;
  memory_->crash([&](const PendingOperation& operation) {
    due_.erase(operation.id);
    Fate fate;
    if (operation.id > last_issued) return fate;
    if (operation.id > noticed_) watcher_.begun(number_, operation);
    if (landing == Landing::kNone) return fate;
    const bool by_chance = landing == Landing::kByChance;
    if (by_chance && operation.kind == PendingOperation::Kind::kWrite && prng_.ppm(faults.late)) {
      fate.kind = Fate::Kind::kLate;
      due_[operation.id] = {now + prng_.between(Duration::zero(), faults.late_by), true};
    } else if (!by_chance || !prng_.one_in(3)) {
      fate.kind = Fate::Kind::kDone;
      if (!memory_->faults.failing) done.push_back(operation.id);
    }
    return fate;
  });
  noticed_ = std::max(noticed_, last_issued);
  if (landing != Landing::kByChance) stalled_until_ = {};
  for (const std::uint64_t id : done) watcher_.stored(number_, id);
}

void Disk::power_loss(std::uint64_t last_issued) {
  std::vector<std::uint64_t> done;
  memory_->power_loss([&](const PendingOperation& operation) {
    Fate fate;
    if (operation.id > last_issued) return fate;
    if (operation.id > noticed_) watcher_.begun(number_, operation);
    if (prng_.ppm(faults.torn)) {
      if (operation.kind != PendingOperation::Kind::kWrite) return fate;
      fate.kind = Fate::Kind::kTorn;
      fate.tear = random_tear(operation.size);
      context_.faults.add(Fault::kTornWrite);
    } else if (prng_.one_in(2)) {
      fate.kind = Fate::Kind::kDone;
      if (!memory_->faults.failing) done.push_back(operation.id);
    }
    return fate;
  });
  noticed_ = std::max(noticed_, last_issued);
  due_.clear();
  stalled_until_ = {};
  for (const std::uint64_t id : done) watcher_.stored(number_, id);
}

}  // namespace holdfast::sim
