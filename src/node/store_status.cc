#include "node/store_status.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "location/rados/alone.h"
#include "location/rados/cluster.h"
#include "location/rados/head.h"
#include "location/rados/librados_store.h"
#include "node/entropy.h"
#include "node/output.h"
#include "node/places.h"
#include "node/values.h"

namespace holdfast::node {
namespace {

using Json = nlohmann::json;
using location::rados::Address;
using location::rados::Cluster;
using location::rados::Finished;
using location::rados::ObjectStore;
using location::rados::ObjectWrite;
using location::rados::Outcome;

constexpr std::size_t kProbes = 20;
constexpr std::size_t kProbeSize = 4096;  // bytes: a batch of little

struct Latency {
  Duration median{}, worst{};
};

struct Status {
  std::string place;
  unsigned size = 0, min_size = 0;
  std::string zone_type;           // what the pool's rule spreads copies over: "datacenter", "host", …
  std::vector<std::string> zones;  // of that type
  std::string health;
  std::vector<std::string> problems;  // of the cluster
  unsigned osds = 0, osds_up = 0;
  std::optional<Latency> latency;  // of a write of one block; none: writes do not come through
  std::string latency_problem;
  location::rados::Head head;
  std::string head_problem;  // what is in the pool cannot be told
};

std::unexpected<Error> no_sense() {
  return fail(Error::Kind::kIo, "the cluster's monitors answer in a way that makes no sense");
}

// The monitors' answer, as JSON. What they say is checked like anything from the network.
Result<Json> ask(const Cluster& cluster, Json command) {
  command["format"] = "json";
  const auto answer = cluster.ask_monitor(command.dump());
  if (!answer) return std::unexpected(answer.error());
  auto json = Json::parse(*answer, nullptr, false);
  if (json.is_discarded()) return no_sense();
  return json;
}

std::string why(const Finished& finished) {
  switch (finished.outcome) {
    case Outcome::kUnknown:
      return "no answer in time";
    case Outcome::kFull:
      return "no room";
    case Outcome::kShutOut:
      return "the cluster has this client on its blocklist";
    default:
      return finished.reason;
  }
}

// Of an object of its own, which goes at the end.
std::optional<Latency> measure(ObjectStore& store, const std::string& log, std::string& problem) {
  const std::vector<std::byte> block(kProbeSize);
  ObjectWrite write;
  write.object = fmt::format("{}.probe-{:016x}", log, draw_seed());
  write.existence = ObjectWrite::Existence::kNew;
  write.data = block;
  std::vector<Duration> times;
  for (std::size_t i = 0; i < kProbes; ++i) {
    const Time begun = store.now();
    const Finished finished = ask_alone(store, write);
    if (finished.outcome != Outcome::kDone) {
      problem = why(finished);
      break;
    }
    times.push_back(store.now() - begun);
    write.existence = ObjectWrite::Existence::kRequired;
  }
  ObjectWrite remove;
  remove.object = write.object;
  remove.remove = true;
  (void)ask_alone(store, remove);
  if (times.size() < kProbes) return std::nullopt;
  std::ranges::sort(times);
  return Latency{times[times.size() / 2], times.back()};
}

Result<void> read_answers(const Cluster& cluster, const Address& address, Status& status) {
  const auto dump = ask(cluster, {{"prefix", "osd dump"}});
  if (!dump) return std::unexpected(dump.error());
  int rule = -1;
  for (const auto& pool : dump->value("pools", Json::array())) {
    if (pool.value("pool_name", "") != address.pool) continue;
    status.size = pool.value("size", 0U);
    status.min_size = pool.value("min_size", 0U);
    rule = pool.value("crush_rule", -1);
  }
  for (const auto& osd : dump->value("osds", Json::array())) {
    ++status.osds;
    status.osds_up += osd.value("up", 0) != 0 ? 1 : 0;
  }
  const auto crush = ask(cluster, {{"prefix", "osd crush dump"}});
  if (!crush) return std::unexpected(crush.error());
  for (const auto& candidate : crush->value("rules", Json::array())) {
    if (candidate.value("rule_id", -2) != rule) continue;
    for (const auto& step : candidate.value("steps", Json::array())) {
      const auto type = step.value("type", "");
      if (!type.empty()) status.zone_type = type;
    }
  }
  for (const auto& bucket : crush->value("buckets", Json::array())) {
    const auto name = bucket.value("name", "");
    const bool shadow = name.find('~') != std::string::npos;  // of a class of devices: the same place once more
    if (bucket.value("type_name", "") == status.zone_type && !shadow) status.zones.push_back(name);
  }
  std::ranges::sort(status.zones);
  const auto health = ask(cluster, {{"prefix", "health"}});
  if (!health) return std::unexpected(health.error());
  status.health = health->value("status", "unknown");
  const auto checks = health->value("checks", Json::object());
  for (const auto& [name, check] : checks.items()) {
    status.problems.push_back(check.value("summary", Json::object()).value("message", name));
  }
  return {};
}

Result<void> look_at_pool(const Cluster& cluster, const Address& address, Status& status) {
  try {
    return read_answers(cluster, address, status);
  } catch (const Json::exception&) {
    return no_sense();
  }
}

Result<Status> look_at(const std::string& place, const std::string& group) {
  const auto address = pool_address(place, group);
  if (!address) return std::unexpected(address.error());
  Status status;
  status.place = address->place();
  const auto cluster = Cluster::connect(*address);
  if (!cluster) return std::unexpected(cluster.error());
  if (auto seen = look_at_pool(**cluster, *address, status); !seen) {
    return fail(seen.error().kind, fmt::format("{}: {}", status.place, seen.error().message));
  }
  auto ring = location::Ring::create();
  if (!ring) return std::unexpected(ring.error());
  auto store = location::rados::open_store(*address, **ring);
  if (!store) return std::unexpected(store.error());
  const Finished finished = ask_alone(**store, location::rados::head_read(address->log, true));
  if (finished.outcome == Outcome::kDone) {
    auto head = location::rados::decode_head(finished, status.place);
    if (!head) return std::unexpected(head.error());
    status.head = *std::move(head);
  } else if (finished.outcome != Outcome::kAbsent) {
    status.head_problem = why(finished);
  }
  status.latency = measure(**store, address->log, status.latency_problem);
  return status;
}

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

std::vector<std::string> advice(const Status& s) {
  std::vector<std::string> lines;
  if (s.size == 1) {
    lines.push_back("the pool keeps one copy: a lost disk is lost data; `ceph osd pool set POOL size 3`");
  } else if (s.min_size == 1) {
    lines.push_back(
        "the pool goes on with one copy: what is stored then can be lost with one disk; "
        "`ceph osd pool set POOL min_size 2`");
  }
  if (!s.zone_type.empty() && s.zones.size() < s.size) {
    lines.push_back(fmt::format("{} copies, each in a {} of its own, and {} of these: one has no place", s.size,
                                s.zone_type, s.zones.size()));
  }
  return lines;
}

std::uint64_t size_of(const std::vector<location::SegmentInfo>& segments) {
  std::uint64_t bytes = 0;
  for (const auto& segment : segments) bytes += segment.size;
  return bytes;
}

Json to_json(const Status& s) {
  const auto segments = s.head.segments_in_use();
  Json json = {{"place", s.place},
               {"size", s.size},
               {"min_size", s.min_size},
               {"zone_type", s.zone_type},
               {"zones", s.zones},
               {"health", s.health},
               {"problems", s.problems},
               {"osds", s.osds},
               {"osds_up", s.osds_up},
               {"advice", advice(s)},
               {"epoch", s.head.epoch},
               {"segments", segments.size()},
               {"segment_bytes", size_of(segments)}};
  if (s.latency) {
    json["write_ms"] = {{"median", milliseconds(s.latency->median)}, {"worst", milliseconds(s.latency->worst)}};
  } else {
    json["write_problem"] = s.latency_problem;
  }
  if (!s.head_problem.empty()) json["log_problem"] = s.head_problem;
  if (s.head.owner) {
    json["owner"] = {{"host", s.head.owner->host},
                     {"process", s.head.owner->process},
                     {"active", s.head.active_owner() != nullptr},
                     {"lease_ms", s.head.owner->lease / 1000000}};
  }
  return json;
}

std::string to_text(const Status& s) {
  std::string text = fmt::format("{}\n", s.place);
  const auto line = [&](std::string_view what, const std::string& value) {
    text += fmt::format("  {:<10} {}\n", what, value);
  };
  line("copies", fmt::format("{}, written with {} at the least", s.size, s.min_size));
  line("places",
       fmt::format("one copy a {}: {}", s.zone_type.empty() ? "disk" : s.zone_type, fmt::join(s.zones, ", ")));
  std::string health = fmt::format("{}; {} of {} OSDs up", s.health, s.osds_up, s.osds);
  for (const auto& problem : s.problems) health += "; " + problem;
  line("health", health);
  line("writes", s.latency
                     ? fmt::format("{:.1f} ms median, {:.1f} ms worst of {} of {} bytes",
                                   milliseconds(s.latency->median), milliseconds(s.latency->worst), kProbes, kProbeSize)
                     : "fail: " + s.latency_problem);
  if (!s.head_problem.empty()) {
    line("log", "cannot be read: " + s.head_problem);
  } else if (s.head.epoch == 0) {
    line("log", "none yet");
  } else {
    const auto segments = s.head.segments_in_use();
    line("log", fmt::format("{} segments, {}; epoch {}", segments.size(), human_size(size_of(segments)), s.head.epoch));
    if (s.head.owner) {
      line("owner",
           s.head.active_owner() != nullptr
               ? fmt::format("{}, with a lease of {} ms", describe(*s.head.owner), s.head.owner->lease / 1000000)
               : fmt::format("none: {} has given it back", describe(*s.head.owner)));
    }
  }
  for (const auto& hint : advice(s)) line("ATTENTION", hint);
  return text;
}

}  // namespace

int store_status(const StoreCommand& command) {
  int exit_status = kExitDone;
  Json all = Json::array();
  std::string text;
  for (const auto& place : command.data) {
    const auto status = look_at(place, command.group);
    if (!status) {
      exit_status = report(status.error());
      continue;
    }
    const bool works = status->latency && status->head_problem.empty();
    if (!works || status->size == 1 || status->min_size == 1) exit_status = kExitFailed;
    all.push_back(to_json(*status));
    text += to_text(*status);
  }
  const auto written = write_all(STDOUT_FILENO, command.json ? all.dump(2) + "\n" : text);
  return written ? exit_status : report(written.error());
}

}  // namespace holdfast::node
