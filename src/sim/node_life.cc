// The node is born: the log is opened on the disks, step by step, and may die at any of them; then the engine runs.
#include <algorithm>
#include <array>

#include "location/memory.h"
#include "sim/node_host.h"
#include "sim/node_watcher.h"

namespace holdfast::sim {

namespace {

constexpr Duration kLockBound = std::chrono::seconds(30);

}  // namespace

void NodeHost::begin_life() {
  ++life_;
  starting_ = true;
  died_opening_ = false;
  opening_ = context_.now();
  recovery_ = {};
  context_.note("node starts, life {}", life_);
  auto log = open_log(recovery_);
  for (const auto& disk : disks_) {
    // Nothing blocks any more: whoever waits from here on waits in vain.
    disk->memory().faults.pass_time = [](Duration) { return Duration::zero(); };
    disk->memory().faults.dead_at_lock = {};
    disk->memory().faults.before_blob = {};
  }
  if (died_opening_) {
    log = fail(Error::Kind::kUnavailable, "died");
    context_.faults.add(Fault::kCrashInRecovery);
    context_.note("node died while it opened the log");
    recovery_fuse_.reset();
    starting_ = false;
    context_.queue.at(opening_ + prng_.between_log(std::chrono::milliseconds(1), std::chrono::milliseconds(500)),
                      [this] { begin_life(); });
    wake_for_disks();
    return;
  }
  recovery_fuse_.reset();
  if (!log) return start_failed(log.error());
  for (const log::LocationStatus& location : (*log)->locations()) {
    const auto disk = std::ranges::find(disks_, location.name, &Disk::name);
    if (disk == disks_.end() || location.state == log::LocationState::kFailed) continue;
    if (!(*disk)->memory().late().empty()) {
      context_.fail("{} is locked while writes of a dead process are still on their way to it", (*disk)->name());
    }
  }
  opened_ = std::move(*log);
  context_.queue.at(opening_, [this, life = life_] {
    if (life == life_ && starting_) run_engine();
  });
}

Result<std::unique_ptr<log::Log>> NodeHost::open_log(gate::Recovery& recovery) {
  std::vector<std::unique_ptr<location::Location>> locations;
  for (const auto& disk : disks_) {
    auto& faults = disk->memory().faults;
    faults.pass_time = [this, at = disk.get()](Duration at_most) { return pass_time(*at, at_most); };
    faults.dead_at_lock = [this] { return burn_in_recovery(); };
    faults.before_blob = [this](const std::string&) {
      burn_in_recovery();
      return location::MemoryFaults::Step::kDo;
    };
    locations.push_back(std::make_unique<location::Memory>(disk->share()));
  }
  log::Options options = log_options(scenario_);
  options.stored_on = scenario_.stored_on;
  std::array<std::byte, 96> random;
  prng_.fill(random);
  return log::Log::open(std::move(locations), options, random, kLockBound, recovery);
}

// One step of the opening; true when the node dies at it.
bool NodeHost::burn_in_recovery() {
  if (died_opening_) return true;
  for (const auto& disk : disks_) disk->notice_new(opening_);
  if (!recovery_fuse_ || recovery_fuse_->steps-- > 0) return false;
  died_opening_ = true;
  issued_at_death_.clear();
  for (const auto& disk : disks_) issued_at_death_.push_back(disk->last_issued());
  settle_disks(recovery_fuse_->plan, opening_);
  return true;
}

// Somebody waits for this disk: the next thing that ends there ends now.
Duration NodeHost::pass_time(Disk& disk, Duration at_most) {
  if (burn_in_recovery()) return Duration::zero();
  const Time begin = opening_;
  const Time limit = at_most > kNever - begin ? kNever : begin + at_most;
  for (bool progress = false; !progress;) {
    Disk* next = nullptr;
    for (const auto& candidate : disks_) {
      if (next == nullptr || candidate->next_end() < next->next_end()) next = candidate.get();
    }
    const Time when = std::max(next->next_end(), opening_);
    if (when == kNever) return Duration::zero();
    if (when > limit) {
      opening_ = limit;
      break;
    }
    opening_ = when;
    progress = next->run(opening_) && next == &disk;
  }
  if (opening_ == begin) opening_ += Duration(1);
  return opening_ - begin;
}

stack::Config NodeHost::engine_config() const {
  stack::Config config;
  config.ip.mac = place_.mac;
  config.ip.address = place_.address;
  config.ip.mtu = scenario_.node_mtu;
  config.tcp = scenario_.node_tcp;
  config.initial_receive_window = scenario_.node_initial_window;
  config.max_half_open = scenario_.node_max_half_open;
  config.services = {{stack::ServiceKind::kStore, wire::Port{kStorePort}, scenario_.node_ways},
                     {stack::ServiceKind::kEcho, wire::Port{kEchoPort}, scenario_.node_ways}};
  constexpr std::int64_t kSomeDay = 1'700'000'000'000'000'000;
  config.wall_clock = static_cast<std::uint64_t>(kSomeDay + context_.now().time_since_epoch().count() + wall_offset_);
  return config;
}

void NodeHost::run_engine() {
  starting_ = false;
  failed_starts_ = 0;
  tail_ = Tail::kWhole;
  std::array<std::byte, 64> random;
  prng_.fill(random);
  dead_in_call_ = false;
  runner_.start([&](wire::FrameSink& link) {
    return std::make_unique<stack::Engine>(engine_config(), link, std::move(opened_), std::move(recovery_), random,
                                           watcher_.get(), context_.now());
  });
  if (!runner_.running()) return;  // died in its first call
  std::deque<Packet> kept = std::exchange(kept_, {});
  for (Packet& packet : kept) receive(std::move(packet));
  if (runner_.running() && after_start) after_start();
}

void NodeHost::start_failed(const Error& error) {
  starting_ = false;
  context_.note("node cannot start: {}", error.message);
  if (must_start() || ++failed_starts_ > 200) return context_.fail("the node cannot start: {}", error.message);
  context_.queue.at(opening_ + std::chrono::seconds(1), [this] { begin_life(); });
}

}  // namespace holdfast::sim
