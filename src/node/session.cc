#include "node/session.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "gate/service.h"
#include "node/device.h"
#include "node/entropy.h"
#include "node/event_file.h"
#include "node/host_address.h"
#include "node/limits.h"
#include "node/output.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

constexpr std::uint32_t kSendBuffer = 8U << 20;
// Longer than a start takes: one that does not work out is looked into.
constexpr Duration kStartBound = std::chrono::seconds(2);
// How often locations are looked at for failures.
constexpr Duration kLookEvery = std::chrono::milliseconds(500);

}  // namespace

Result<void> Session::create_ring() {
  auto ring = location::Ring::create();
  if (!ring) return std::unexpected(ring.error());
  ring_ = *std::move(ring);
  return {};
}

Result<void> Session::open() {
  stop_ = std::make_unique<StopSignals>(*ring_);
  if (auto enough = raise_descriptor_limit(command_.data.size()); !enough) return enough;
  if (auto free = check_not_ours(command_.address.address); !free) return free;
  auto tap = attach({.name = command_.link.device, .mtu = command_.link.mtu, .pcap = command_.pcap});
  if (!tap) return std::unexpected(tap.error());
  tap_ = *std::move(tap);
  if (command_.host_address) {
    auto configured = configure_host_end(command_.link.device, *command_.host_address);
    if (!configured) return configured;
  }
  gate::Recovery recovered;
  std::unique_ptr<log::Log> log;
  if (is_durable()) {
    auto opened = open_log(recovered);
    if (!opened) return std::unexpected(opened.error());
    log = *std::move(opened);
    find_unfinished(recovered);
  }
  engine_ = std::make_unique<stack::Engine>(engine_config(), *tap_, std::move(log), std::move(recovered),
                                            std::span<const std::byte, 64>(draw_entropy<64>()),
                                            static_cast<stack::Observer*>(this), shard::monotonic_now());
  shard_ = std::make_unique<shard::Shard>(*engine_, *tap_, *ring_);
  stop_->arm();
  return {};
}

Result<std::unique_ptr<log::Log>> Session::open_log(gate::Recovery& recovered) {
  log::Options options = command_.log;
  options.on_format = [this](unsigned, unsigned) {
    say(fmt::format("no log in {}: a new one is made", fmt::join(command_.data, ", ")));
  };
  options.on_replace = [this](const std::string& location) {
    say(fmt::format("location {} is empty: it is refilled in the place of a lost one, which must not come back",
                    location));
  };
  options.on_copy = [this](const std::string& location, std::uint64_t bytes) {
    say(fmt::format("location {} lacks {} MiB of the log: copying them", location, bytes >> 20));
  };
  options.on_lost_segments = [this](const std::string& location, std::uint64_t restored, std::uint64_t lost,
                                    const std::string& problem) {
    say(fmt::format("location {}: segment files have vanished: {} copied anew, {} lost{}{}", location, restored, lost,
                    problem.empty() ? "" : ": ", problem));
  };
  auto places = open_places(command_.data, "", who_we_are(0), *ring_);
  if (!places) return std::unexpected(places.error());
  stop_->arm();
  for (auto* const pool : places->pools) {
    pool->set_patience({.reads = {},
                        .over = [this] { return stop_->look(); },
                        .tell = [this](const std::string& what) { say(what); }});
  }
  const auto pools = places->pools;
  auto log =
      node::open_log(*std::move(places), options, recovered, [this](const std::string& warning) { say(warning); });
  if (!log && stop_->asked()) return fail(Error::Kind::kUnavailable, "interrupted");
  if (log) {
    for (auto* const pool : pools) pool->set_patience({});
  }
  return log;
}

void Session::find_unfinished(gate::Recovery& recovered) {
  if (const auto strange = recovered.strange_records(); strange > 0) {
    say(fmt::format("{} records in the log make no sense and were left out: run `holdfast streams list`", strange));
  }
  for (const auto& [id, connection] : recovered.connections()) {
    const tcp::Snapshot& s = connection.record.snapshot;
    if (s.tuple.local.address != command_.address.address) ++of_other_addresses_;
    if (connection.record.service != static_cast<std::uint8_t>(gate::ServiceKind::kClient)) continue;
    unfinished_.push_back({id, s.tuple, s.rcv_end, s.snd_end, s.snd_fin});
  }
}

stack::Config Session::engine_config() const {
  stack::Config config;
  config.ip.mac = command_.link.mac.value_or(default_mac(command_.address.address));
  config.ip.address = command_.address;
  config.ip.gateway = command_.gateway;
  config.ip.mtu = command_.link.mtu;
  config.ip.seed = draw_seed();
  config.tcp.mss = static_cast<std::uint16_t>(command_.link.mtu - 40);
  config.tcp.send_buffer = kSendBuffer;
  config.tcp.ways.roll_call_timeout = command_.ways.roll_call_timeout;  // of a handshake that is resumed
  config.wall_clock = wall_clock_now();
  return config;
}

Result<void> Session::start() {
  const Time bound = shard::monotonic_now() + kStartBound;
  while (engine_->recovering() && !stop_asked()) {
    if (auto turned = turn(std::max(bound, shard::monotonic_now() + kLookEvery)); !turned) return turned;
    if (shard::monotonic_now() < bound || !unfinished_.empty()) continue;
    if (auto room = check_room(*engine_->log()); !room) return room;
  }
  return {};
}

Result<void> Session::turn(Time at_latest) {
  shard_->turn(std::min(at_latest, next_look_));
  stop_->take();
  if (tap_->failure()) return std::unexpected(*tap_->failure());
  const Time now = shard::monotonic_now();
  return now < next_look_ ? Result<void>{} : look_around(now);
}

Result<void> Session::look_around(Time now) {
  next_look_ = now + kLookEvery;
  if (tap_->capture() != nullptr) tap_->capture()->writer().flush();
  if (!is_durable()) return {};
  storage_.look_at(*engine_->log(), *this);
  return check_quorum(*engine_->log());
}

Result<void> Session::keep_device() { return keep_until_done(*tap_); }

Result<void> Session::release_device() {
  if (!is_durable() || !has_device() || of_other_addresses_ > 0 || !engine_->list().empty()) return {};
  return let_go(*tap_);
}

void Session::say(const std::string& text) const {
  if (!command_.quiet) (void)write_all(STDERR_FILENO, fmt::format("holdfast: {}\n", text));
}

std::optional<stack::ConnectionInfo> Session::connection(StreamId id) const {
  const auto all = engine_->list();
  const auto found = std::ranges::find(all, id, &stack::ConnectionInfo::id);
  return found == all.end() ? std::nullopt : std::optional(*found);
}

std::optional<Error> Session::not_resumed_because(StreamId id) const {
  const auto found = not_resumed_.find(id);
  return found == not_resumed_.end() ? std::nullopt : std::optional(found->second);
}

void Session::not_resumed(StreamId id, const wire::FourTuple& /*tuple*/, const Error& error) {
  not_resumed_.emplace(id, error);
}

void Session::stalled(bool now) {
  say(now ? "storage stands still: nothing is sent until it goes on" : "storage works again");
}

void Session::location_changed(const log::LocationStatus& location, const log::Log& log) {
  if (location.state == log::LocationState::kActive) return say(fmt::format("location {} counts again", location.name));
  say(fmt::format("location {}: {}{}", location.state == log::LocationState::kFailed ? "failed" : "is behind",
                  log::with_name(location.name, location.reason), log.quorum_lost() ? "" : "; the others carry on"));
}

void Session::full_changed(const std::vector<std::string>& full) {
  say(full.empty() ? "there is room again"
                   : fmt::format("no room in {}: waiting until there is", fmt::join(full, ", ")));
}

}  // namespace holdfast::node
