// The node dies: what happens to writes under way, to stored bytes, and to frames, until it is born again.
#include <algorithm>

#include "base/crc32c.h"
#include "sim/node_host.h"
#include "sim/node_watcher.h"

namespace holdfast::sim {

void NodeHost::die(const DeathPlan& plan) {
  if (starting_) {
    // Between opening its log and running: an ordinary death.
    issued_at_death_.clear();
    for (const auto& disk : disks_) issued_at_death_.push_back(disk->last_issued());
    opened_.reset();
    return end_life(plan);
  }
  if (!runner_.running()) return;  // dead already
  if (plan.bad_disks_ahead && plan.patience > Duration{} && !are_others_behind()) {
    constexpr Duration kStep = std::chrono::milliseconds(1);
    DeathPlan later = plan;
    later.patience -= kStep;
    return context_.queue.after(kStep, [this, later, life = life_] {
      if (life == life_) die(later);
    });
  }
  if (plan.kind == Death::kCleanStop) {
    runner_.call([&](stack::Engine& engine) { engine.prepare_stop(context_.now()); });
    return stop_cleanly(plan, context_.now() + std::chrono::seconds(2));
  }
  if (plan.mid_call) {
    fuse_ = Fuse{*plan.mid_call, plan};
    // Nothing to do, nothing to die in.
    context_.queue.after(std::chrono::seconds(1), [this, plan, life = life_] {
      if (life != life_ || !fuse_ || !runner_.running()) return;
      fuse_.reset();
      DeathPlan between_calls = plan;
      between_calls.mid_call.reset();
      die(between_calls);
    });
    return;
  }
  issued_at_death_.clear();
  for (const auto& disk : disks_) issued_at_death_.push_back(disk->last_issued());
  end_life(plan);
}

// The good disks have several writes to do yet.
bool NodeHost::are_others_behind() const {
  constexpr std::size_t kSeveral = 3;
  for (unsigned i = 0; i < disks_.size(); ++i) {
    if (!scenario_.is_bad(i) && disks_[i]->memory().pending().size() < kSeveral) return false;
  }
  return true;
}

void NodeHost::stop_cleanly(const DeathPlan& plan, Time give_up) {
  if (!runner_.running()) return;
  if (runner_.engine().busy() && context_.now() < give_up) {
    context_.queue.after(std::chrono::milliseconds(1), [this, plan, give_up, life = life_] {
      if (life == life_) stop_cleanly(plan, give_up);
    });
    return;
  }
  issued_at_death_.clear();
  for (const auto& disk : disks_) issued_at_death_.push_back(disk->last_issued());
  end_life(plan);
}

void NodeHost::end_life(const DeathPlan& plan) {
  ++life_;
  death_ = plan;
  fuse_.reset();
  dead_in_call_ = starting_ = false;
  constexpr Fault kFaults[] = {Fault::kKill, Fault::kPowerLoss, Fault::kCleanStop};
  context_.faults.add(kFaults[static_cast<std::size_t>(plan.kind)]);
  context_.note("node dies, kind {}", static_cast<int>(plan.kind));
  settle_disks(plan, context_.now());
  opened_.reset();
  std::deque<Packet> waiting = runner_.stop();
  oracle_.node_died();

  keeping_ = plan.keeps_frames && plan.kind != Death::kPowerLoss;
  kept_.clear();
  for (Packet& packet : waiting) receive(std::move(packet));
  if (plan.clock_jump != 0) context_.faults.add(Fault::kClockJump);
  wall_offset_ += plan.clock_jump;
  if (plan.in_recovery) recovery_fuse_ = Fuse{*plan.in_recovery, plan};

  if (after_death) after_death();
  damage_disks(plan);
  if (after_death && plan.rot) after_death();
  wake_for_disks();
  context_.queue.after(plan.away, [this, life = life_] {
    if (life == life_) begin_life();
  });
  if (!plan.then.empty()) die_again(plan, context_.now() + std::chrono::seconds(10));
}

// The deaths that follow a death: each soon after the node speaks again.
void NodeHost::die_again(const DeathPlan& plan, Time give_up) {
  context_.queue.after(std::chrono::microseconds(200), [this, plan, give_up] {
    if (!runner_.running() || runner_.engine().recovering()) {
      if (context_.now() < give_up) die_again(plan, give_up);
      return;
    }
    DeathPlan next = plan.then.front();
    next.then.assign(plan.then.begin() + 1, plan.then.end());
    context_.queue.after(next.at, [this, next, life = life_] {
      if (life == life_) die(next);
    });
  });
}

void NodeHost::settle_disks(const DeathPlan& plan, Time now) {
  for (std::size_t i = 0; i < disks_.size(); ++i) {
    if (plan.kind == Death::kPowerLoss) {
      disks_[i]->power_loss(issued_at_death_[i]);
    } else {
      using Landing = Disk::Landing;
      const Landing ahead = scenario_.is_bad(static_cast<unsigned>(i)) ? Landing::kAll : Landing::kNone;
      disks_[i]->kill(issued_at_death_[i], now, plan.bad_disks_ahead ? ahead : Landing::kByChance);
    }
  }
}

void NodeHost::damage_disks(const DeathPlan& plan) {
  for (unsigned i = 0; i < disks_.size(); ++i) {
    if (plan.forge_tail) forge_tail(i);
    if (!scenario_.is_bad(i)) continue;
    Disk& disk = *disks_[i];
    if (plan.rot) {
      rot(disk);
      tail_ = Tail::kMayBeRotten;
    }
    if (plan.bad_disks_away) context_.faults.add(Fault::kDiskAway);
    // Away means that nothing about it works, until the next death.
    disk.memory().faults.failing = plan.bad_disks_away;
  }
}

void NodeHost::rot(Disk& disk) {
  location::MemoryDisk& memory = disk.memory();
  const auto segments = memory.segments();
  if (segments.empty()) return;
  context_.faults.add(Fault::kRot);
  for (std::uint64_t n = prng_.between(1, 4); n > 0; --n) {
    const auto segment = segments[prng_.below(segments.size())];
    // Mostly where something is written: towards the segment's front.
    const std::uint64_t at = prng_.between_log(1, segment.size) - 1;
    context_.note("{}: rot in segment {} at {}", disk.name(), segment.number.value, at);
    switch (prng_.below(8)) {
      case 0:
        memory.zero(segment.number, at / location::kSector * location::kSector,
                    location::kSector * prng_.between(1, 16));
        break;
      case 1:
        memory.make_unreadable(segment.number, at, prng_.between(1, 8192));
        break;
      case 2:
        if (prng_.one_in(4)) memory.lose_segment(segment.number);
        break;
      default:
        memory.flip(segment.number, at, static_cast<std::byte>(1U << prng_.below(8)));
    }
  }
  if (prng_.one_in(2)) rot_in_use(disk);
}

// Zeros are padding, or were never written: a byte that says something is more likely to be missed.
void NodeHost::rot_in_use(Disk& disk) {
  location::MemoryDisk& memory = disk.memory();
  const auto segments = memory.segments();
  if (segments.empty()) return;  // the last one is lost
  const auto segment = segments[prng_.below(segments.size())];
  std::vector<std::byte> bytes(segment.size);
  if (!memory.read(segment.number, 0, bytes)) return;
  std::vector<std::uint64_t> in_use;
  for (std::uint64_t at = 0; at < bytes.size(); ++at) {
    if (bytes[at] != std::byte{}) in_use.push_back(at);
  }
  if (in_use.empty()) return;
  const std::uint64_t at = in_use[prng_.below(in_use.size())];
  context_.note("{}: rot in use, in segment {} at {}", disk.name(), segment.number.value, at);
  memory.flip(segment.number, at, static_cast<std::byte>(1U << prng_.below(8)));
}

// Behind the chain's end lies what was there before: in a recycled segment, payload of a client's choice. This one
// chose a whole batch that would continue the chain, right in everything but the secret.
void NodeHost::forge_tail(unsigned number) {
  DurableModel& model = oracle_.model();
  const auto last = model.last_on(number);
  if (!last || !model.key()) return;
  location::MemoryDisk& memory = disks_[number]->memory();
  std::vector<std::byte> block(log::kBlock);
  std::optional<log::BatchHeader> header;
  log::BatchPosition at = *last;
  // To where its batches end: one whose write ended in an error may be there all the same, and be counted on.
  while (memory.read(at.segment, at.offset, block)) {
    const auto next = log::decode_batch_header(block, *model.key(), at);
    if (!next) break;
    header = next;
    at.offset = next->end();
    if (at.offset + 2 * log::kBlock > model.key()->segment_size) return;
  }
  if (!header) return;
  const auto victim = std::ranges::find_if(model.streams(), [](const auto& entry) { return !entry.second.closed; });
  if (victim == model.streams().end()) return;

  log::RecordHeader record;
  record.type = log::RecordType::kIn;
  record.stream = victim->first;
  record.offset = victim->second.in_end;
  std::vector<std::byte> payload(64, std::byte{0x66});
  record.length = static_cast<std::uint32_t>(payload.size());
  record.crc = crc32c(0, payload);
  std::ranges::fill(block, std::byte{});
  log::encode_record_header(record, block.data() + log::kBatchHeaderSize);
  std::ranges::copy(payload, block.begin() + log::kBatchHeaderSize + log::kRecordHeaderSize);

  log::LogKey wrong = *model.key();
  prng_.fill(wrong.mac.key);
  header->predecessor = header->mac;
  header->at.offset = header->end();
  header->lsn = header->lsn + 1;
  header->record_count = 1;
  header->body_length = static_cast<std::uint32_t>(log::record_size(payload.size()));
  header->body_tag = log::extend_body_tag(wrong, 0, block.data() + log::kBatchHeaderSize);
  log::encode_batch_header(*header, wrong, block.data());
  memory.overwrite(header->at.segment, header->at.offset, block);
  context_.faults.add(Fault::kForgedTail);
}

// Enough disks are there and whole for a log of these numbers to open.
bool NodeHost::must_start() const {
  unsigned usable = 0;
  for (const auto& disk : disks_) {
    const auto& faults = disk->memory().faults;
    if (!faults.failing && !faults.full && disk->next_end() - opening_ < std::chrono::seconds(5)) ++usable;
  }
  const unsigned covering = scenario_.disks - scenario_.stored_on + 1;
  return usable >= std::max(scenario_.stored_on, covering);
}

}  // namespace holdfast::sim
