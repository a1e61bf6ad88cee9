#include "node/storage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "node/entropy.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

// A dead process's last writes hold the locks until they have landed: milliseconds, or the disk's own time-outs.
constexpr Duration kLockBound = std::chrono::seconds(5);

std::string reasons_of(const log::Log& log) {
  std::string reasons;
  for (const auto& location : log.locations()) {
    if (!location.reason.empty()) reasons += fmt::format(": {}", log::with_name(location.name, location.reason));
  }
  return reasons;
}

template <class Done>
void work_until(stack::Engine& engine, location::Ring& ring, Time bound, Done&& done) {
  Time now = shard::monotonic_now();
  engine.prepare_stop(now);
  engine.pump(now);
  while (!done() && now < bound) {
    ring.wait(bound - now);
    now = shard::monotonic_now();
    engine.pump(now);
  }
}

bool store_all(stack::Engine& engine, location::Ring& ring, Time bound) {
  const Lsn last = engine.log() == nullptr ? Lsn{} : engine.log()->barrier();
  const auto stored = [&] { return engine.log() == nullptr || engine.log()->durable() >= last; };
  work_until(engine, ring, bound, [&] { return stored() || engine.log()->quorum_lost(); });
  return stored();
}

}  // namespace

Result<std::unique_ptr<log::Log>> open_log(Places places, const log::Options& options, log::RecordVisitor& visitor,
                                           const std::function<void(const std::string&)>& warn) {
  auto log = log::Log::open(std::move(places.locations), options, std::span<const std::byte, 96>(draw_entropy<96>()),
                            kLockBound, visitor);
  if (!log) return log;
  for (const auto* directory : places.directories) {
    for (const auto& warning : directory->warnings()) warn(warning);
  }
  for (const auto* pool : places.pools) {
    const auto [size, min_size] = pool->replication();
    if (size == 1) {
      warn(fmt::format("{}: the pool keeps one copy: a lost disk is lost data", pool->name()));
    } else if (min_size == 1) {
      warn(fmt::format("{}: the pool goes on with one of its {} copies: what is stored then can be lost with one disk",
                       pool->name(), size));
    }
  }
  return log;
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
  return store_all(engine, ring, shard::monotonic_now() + kEndBound);
}

bool settle(stack::Engine& engine, location::Ring& ring, Time bound) {
  const bool stored = store_all(engine, ring, bound);
  work_until(engine, ring, bound, [&] { return !engine.busy(); });
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
