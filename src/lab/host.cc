#include "lab/host.h"

#include <array>
#include <utility>

#include "location/memory.h"
#include "log/log.h"

namespace holdfast::lab {
namespace {

constexpr const char* name_of(Side side) { return side == Side::kInitiator ? "initiator" : "responder"; }

// Of one handshake: as little as the log accepts.
log::Options log_options(const Conditions& conditions) {
  log::Options options;
  options.stored_on = conditions.stored_on;
  options.segment_size = 1U << 20;
  options.batch_size = 8U << 10;
  options.max_in_flight = 2;
  options.prepared_segments = 2;
  return options;
}

}  // namespace

// The lab has no oracle: what a disk did shows in what its host says.
class Host::Unwatched final : public sim::DiskWatcher {
 public:
  void begun(unsigned, const location::PendingOperation&) override {}
  void stored(unsigned, std::uint64_t) override {}
};

Host::Host(sim::Context& context, const Conditions& conditions, Side side, std::uint64_t seed, Hooks hooks)
    : context_(context),
      conditions_(conditions),
      side_(side),
      prng_(seed, name_of(side)),
      hooks_(std::move(hooks)),
      watcher_(std::make_unique<Unwatched>()),
      runner_(context, sim::Prng(prng_.next(), "runner"),
              {.leaves = [this](sim::Packet packet) { hooks_.leaves(std::move(packet)); },
               .arrives = {},
               .before_call = {},
               .after_call = [this] { after_call(); }}) {
  if (!conditions.stores(side)) return;
  for (unsigned number = 0; number < conditions.places(); ++number) {
    auto& disk =
        *disks_.emplace_back(std::make_unique<sim::Disk>(context, *watcher_, number, sim::Prng(prng_.next(), "disk")));
    disk.faults.latency = conditions.storage;
    disk.faults.spread = conditions.storage / 4;
  }
}

Host::~Host() {
  hooks_ = {.leaves = [](sim::Packet) {}, .after_call = [] {}};
  runner_.stop();
}

wire::MacAddress Host::mac() const {
  return {{0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(side_ == Side::kInitiator ? 1 : 2)}};
}

wire::Ipv4Address Host::address() const {
  return wire::Ipv4Address{0x0a4d0000U + (side_ == Side::kInitiator ? 1U : 2U)};  // 10.77.0.1, 10.77.0.2
}

Result<void> Host::start() {
  std::unique_ptr<log::Log> log;
  if (conditions_.stores(side_)) {
    auto formatted = format();
    if (!formatted) return std::unexpected(formatted.error());
    log = *std::move(formatted);
  }
  std::array<std::byte, 64> random;
  prng_.fill(random);
  runner_.start([&](wire::FrameSink& link) {
    return std::make_unique<stack::Engine>(config(), link, std::move(log), gate::Recovery{}, random, nullptr,
                                           context_.now());
  });
  return {};
}

// In no time: it is not what is measured.
Result<std::unique_ptr<log::Log>> Host::format() {
  std::vector<std::unique_ptr<location::Location>> locations;
  for (const auto& disk : disks_) {
    disk->memory().faults.automatic = true;
    locations.push_back(std::make_unique<location::Memory>(disk->share()));
  }
  std::array<std::byte, 96> random;
  prng_.fill(random);
  gate::Recovery nothing;
  auto log = log::Log::open(std::move(locations), log_options(conditions_), random, std::chrono::seconds(1), nothing);
  for (const auto& disk : disks_) disk->memory().faults.automatic = false;
  return log;
}

stack::Config Host::config() const {
  stack::Config config;
  config.ip.mac = mac();
  config.ip.address = {address(), 24};
  config.max_connections = 16;
  config.max_half_open = 16;
  config.wall_clock = 1'700'000'000'000'000'000;
  stack::Service service{.kind = stack::ServiceKind::kStore, .port = kServicePort, .ways = {}};
  service.ways.max = wire::kMaxWays;
  service.ways.strict = conditions_.strict(Side::kResponder);
  service.ways.roll_call_timeout = conditions_.roll_call_timeout;
  if (side_ == Side::kResponder) config.services.push_back(service);
  return config;
}

bool Host::idle() const {
  for (const auto& disk : disks_) {
    if (disk->next_end() != kNever) return false;
  }
  return true;
}

// ---- Disks ----

void Host::after_call() {
  for (const auto& disk : disks_) disk->notice_new(context_.now());
  wake_for_disks();
  hooks_.after_call();
}

void Host::wake_for_disks() {
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

void Host::disk_event() {
  bool any = false;
  for (const auto& disk : disks_) any |= disk->run(context_.now());
  if (any && runner_.running()) return runner_.turn();
  wake_for_disks();
}

}  // namespace holdfast::lab
