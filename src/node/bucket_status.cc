#include "node/bucket_status.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "cluster/members.h"
#include "location/rados/alone.h"
#include "location/rados/librados_store.h"
#include "location/ring.h"
#include "node/output.h"
#include "node/places.h"

namespace holdfast::node {
namespace {

using cluster::Bucket;
using cluster::Roll;
using location::rados::Outcome;

struct Seen {
  Roll roll;
  std::map<Bucket, std::string> owners;  // identities of living members
  std::map<std::string, bool> lives;
};

Result<Roll> read(location::rados::ObjectStore& store, const std::string& service, const std::string& place) {
  const auto finished = location::rados::ask_alone(store, cluster::members_read(service));
  if (finished.outcome == Outcome::kAbsent) {
    return fail(Error::Kind::kUnavailable,
                fmt::format("{} has no service {} with buckets: start a node with --buckets", place, service));
  }
  if (finished.outcome != Outcome::kDone) {
    return fail(Error::Kind::kUnavailable, fmt::format("{}: the members of {} cannot be read", place, service));
  }
  return cluster::decode_roll(finished, service);
}

Result<Seen> look(const BucketsCommand& command) {
  const auto address = pool_address(command.data, command.group);
  if (!address) return std::unexpected(address.error());
  auto ring = location::Ring::create();
  if (!ring) return std::unexpected(ring.error());
  auto store = location::rados::open_store(*address, **ring);
  if (!store) return std::unexpected(store.error());
  const auto before = read(**store, command.group, address->place());
  if (!before) return std::unexpected(before.error());
  // Long enough for each to renew: who lives is seen by that alone.
  Duration patience{};
  for (const auto& [identity, member] : before->members) {
    patience = std::max(patience, cluster::MemberWatch::patience(member));
  }
  const Time until = (*store)->now() + patience;
  while ((*store)->now() < until) {
    (void)(*store)->take();
    (*store)->wait(until);
  }
  auto after = read(**store, command.group, address->place());
  if (!after) return std::unexpected(after.error());
  Seen seen;
  std::map<Bucket, std::uint64_t> epochs;
  for (const auto& [identity, member] : after->members) {
    const auto was = before->members.find(identity);
    const bool lives = was == before->members.end() || was->second.renewal != member.renewal;
    seen.lives[identity] = lives;
    if (!lives) continue;
    for (const auto& [bucket, epoch] : member.serving) {
      if (epoch <= epochs[bucket]) continue;
      epochs[bucket] = epoch;
      seen.owners[bucket] = identity;
    }
  }
  seen.roll = *std::move(after);
  return seen;
}

std::vector<Bucket> nobodys(const Seen& seen) {
  std::vector<Bucket> free;
  for (Bucket bucket = 0; bucket < seen.roll.buckets.count; ++bucket) {
    if (!seen.owners.contains(bucket)) free.push_back(bucket);
  }
  return free;
}

std::vector<Bucket> buckets_of(const Seen& seen, const std::string& identity) {
  std::vector<Bucket> its;
  for (const auto& [bucket, owner] : seen.owners) {
    if (owner == identity) its.push_back(bucket);
  }
  return its;
}

std::string to_json(const BucketsCommand& command, const Seen& seen) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const auto& [identity, member] : seen.roll.members) {
    nodes.push_back({{"identity", identity},
                     {"host", member.host},
                     {"process", member.process},
                     {"mac", member.mac.to_string()},
                     {"address", member.address},
                     {"lease_ms", member.lease / 1'000'000},
                     {"lives", seen.lives.at(identity)},
                     {"leaving", member.leaving},
                     {"buckets", buckets_of(seen, identity)},
                     {"acquiring", member.acquiring}});
  }
  const nlohmann::json json = {
      {"service", command.group}, {"buckets", seen.roll.buckets.count}, {"nodes", nodes}, {"nobodys", nobodys(seen)}};
  return json.dump(2) + "\n";
}

std::string to_text(const BucketsCommand& command, const Seen& seen) {
  std::string text = fmt::format("{}: {} buckets, {} nodes\n", command.group, seen.roll.buckets.count,
                                 std::ranges::count_if(seen.lives, [](const auto& each) { return each.second; }));
  for (const auto& [identity, member] : seen.roll.members) {
    text += fmt::format("  {}, process {}{}{}", member.host, member.process, member.address.empty() ? "" : ", ",
                        member.address);
    if (!seen.lives.at(identity)) {
      text += ": has not been heard of\n";
      continue;
    }
    const auto its = buckets_of(seen, identity);
    text += fmt::format("{}: {}{}{}", member.leaving ? ", leaving" : "", its.size(), its.empty() ? "" : ": ",
                        fmt::join(its, " "));
    if (!member.acquiring.empty()) text += fmt::format("; on its way to {}", fmt::join(member.acquiring, " "));
    text += "\n";
  }
  if (const auto free = nobodys(seen); !free.empty()) {
    text += fmt::format("  nobody has {}\n", fmt::join(free, " "));
  }
  if (seen.roll.strange > 0) text += fmt::format("  {} entries make no sense\n", seen.roll.strange);
  return text;
}

}  // namespace

int bucket_status(const BucketsCommand& command) {
  const auto seen = look(command);
  if (!seen) return report(seen.error());
  const auto written = write_all(STDOUT_FILENO, command.json ? to_json(command, *seen) : to_text(command, *seen));
  if (!written) return report(written.error());
  return nobodys(*seen).empty() ? kExitDone : kExitFailed;
}

}  // namespace holdfast::node
