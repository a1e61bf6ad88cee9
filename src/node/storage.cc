#include "node/storage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <utility>

#include "location/absent.h"
#include "location/directory.h"
#include "location/rados/open.h"
#include "node/entropy.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

// A dead process's last writes hold the locks until they have landed: milliseconds, or the disk's own time-outs.
constexpr Duration kLockBound = std::chrono::seconds(5);
// How long an end waits for the writes under way.
constexpr Duration kSettleBound = std::chrono::seconds(5);

std::string reasons_of(const log::Log& log) {
  std::string reasons;
  for (const auto& location : log.locations()) {
    if (!location.reason.empty()) reasons += fmt::format(": {}", log::with_name(location.name, location.reason));
  }
  return reasons;
}

template <class Done>
void work_until(stack::Engine& engine, location::Ring& ring, Done&& done) {
  Time now = shard::monotonic_now();
  const Time bound = now + kSettleBound;
  engine.prepare_stop(now);
  engine.pump(now);
  while (!done() && now < bound) {
    ring.wait(bound - now);
    now = shard::monotonic_now();
    engine.pump(now);
  }
}

}  // namespace

Result<std::unique_ptr<log::Log>> open_log(const std::vector<std::string>& places, const log::Options& options,
                                           const location::rados::Self& self, location::Ring& ring,
                                           log::RecordVisitor& visitor,
                                           const std::function<void(const std::string&)>& warn) {
  std::vector<std::unique_ptr<location::Location>> locations;
  std::vector<const location::Directory*> directories;
  const auto add = [&](const std::string& place, auto opened) -> Result<void> {
    if (!opened && (places.size() == 1 || opened.error().kind == Error::Kind::kUsage)) {
      return std::unexpected(opened.error());
    }
    if (opened) {
      locations.push_back(*std::move(opened));
    } else {
      locations.push_back(std::make_unique<location::Absent>(place, opened.error()));
    }
    return {};
  };
  for (const auto& place : places) {
    if (location::rados::is_address(place)) {
      const auto address = location::rados::parse_address(place);
      if (!address) return fail(Error::Kind::kUsage, address.error());
      if (auto added = add(address->place(), location::rados::open_pool(*address, self, ring)); !added) {
        return std::unexpected(added.error());
      }
      continue;
    }
    auto directory = location::open_directory(place, ring);
    if (directory) directories.push_back(directory->get());
    if (auto added = add(place, std::move(directory)); !added) return std::unexpected(added.error());
  }
  auto log = log::Log::open(std::move(locations), options, std::span<const std::byte, 96>(draw_entropy<96>()),
                            kLockBound, visitor);
  if (!log) return log;
  for (const auto* directory : directories) {
    for (const auto& warning : directory->warnings()) warn(warning);
  }
  return log;
}

location::rados::Self who_we_are(std::uint64_t identity) {
  location::rados::Self self;
  self.identity = fmt::format("{:016x}", identity != 0 ? identity : draw_seed());
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) == 0) self.host = host;
  std::erase_if(self.host, [](char c) { return c <= ' ' || c > '~'; });
  self.process = static_cast<std::uint64_t>(::getpid());
  return self;
}

Result<void> check_quorum(const log::Log& log) {
  if (!log.quorum_lost()) return {};
  return fail(Error::Kind::kIo, "too few storage locations work" + reasons_of(log));
}

Result<void> check_room(const log::Log& log) {
  if (!log.full()) return {};
  std::vector<std::string> names;
  for (const auto& location : log.locations()) names.push_back(location.name);
  return fail(Error::Kind::kFull,
              fmt::format("no room for the log: {}{}: make room there", fmt::join(names, ", "), reasons_of(log)));
}

bool store_all(stack::Engine& engine, location::Ring& ring) {
  const Lsn last = engine.log() == nullptr ? Lsn{} : engine.log()->barrier();
  const auto stored = [&] { return engine.log() == nullptr || engine.log()->durable() >= last; };
  work_until(engine, ring, [&] { return stored() || engine.log()->quorum_lost(); });
  return stored();
}

bool settle(stack::Engine& engine, location::Ring& ring) {
  const bool stored = store_all(engine, ring);
  work_until(engine, ring, [&] { return !engine.busy(); });
  return stored;
}

void StorageWatch::look_at(const log::Log& log, Listener& listener) {
  for (const auto& location : log.locations()) {
    auto& known = states_.emplace(location.name, log::LocationState::kActive).first->second;
    if (known == location.state) continue;
    known = location.state;
    listener.location_changed(location, log);
  }
  if (log.full() == full_) return;
  full_ = !full_;
  std::vector<std::string> full;
  for (const auto& location : log.locations()) {
    if (full_ && location.full) full.push_back(location.name);
  }
  listener.full_changed(full);
}

}  // namespace holdfast::node
