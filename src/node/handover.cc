#include "node/handover.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "location/rados/open.h"
#include "node/output.h"
#include "node/places.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

using location::rados::Owner;

constexpr Duration kLookEvery = std::chrono::milliseconds(10);

struct Outcome {
  Owner from, to;
  Duration took{};
};

Result<Outcome> run(const HandoverCommand& command) {
  const auto address = pool_address(command.data, command.group);
  if (!address) return std::unexpected(address.error());
  auto ring = location::Ring::create();
  if (!ring) return std::unexpected(ring.error());
  auto pool = location::rados::open_pool(*address, who_we_are(0), **ring);
  if (!pool) return std::unexpected(pool.error());

  const auto before = (*pool)->look_at_owner();
  if (!before) return std::unexpected(before.error());
  if (before->active_owner() == nullptr) {
    return fail(Error::Kind::kUnavailable,
                fmt::format("nobody serves {} in {}: start a node of the group", command.group, (*pool)->name()));
  }
  // It would end, and begin again at best.
  const auto taker = (*pool)->somebody_stands_by();
  if (!taker) return std::unexpected(taker.error());
  if (!*taker) {
    return fail(Error::Kind::kUnavailable,
                fmt::format("nobody stands by for {}: {} serves on; start another node of the group", command.group,
                            describe(*before->owner)));
  }
  const Time asked = shard::monotonic_now();
  const auto heard = (*pool)->ask_for(*before);
  if (!heard) return std::unexpected(heard.error());
  if (!*heard) return fail(Error::Kind::kBusy, "another node has taken over just now: look, and ask again if need be");
  while (shard::monotonic_now() < asked + command.timeout) {
    const auto now = (*pool)->look_at_owner();
    if (!now) return std::unexpected(now.error());
    if (now->epoch > before->epoch && now->active_owner() != nullptr) {
      if (now->owner->identity != before->owner->identity) {
        return Outcome{*before->owner, *now->owner, shard::monotonic_now() - asked};
      }
      return fail(Error::Kind::kUnavailable,
                  fmt::format("nobody stands by for {}: {} serves on", command.group, describe(*now->owner)));
    }
    (*pool)->store().wait((*pool)->store().now() + kLookEvery);
  }
  return fail(Error::Kind::kTimeout,
              fmt::format("{} has not handed {} over within {} s: is it alive? It does so once what it has is stored",
                          describe(*before->owner), command.group,
                          std::chrono::duration_cast<std::chrono::seconds>(command.timeout).count()));
}

}  // namespace

int handover(const HandoverCommand& command) {
  const auto outcome = run(command);
  if (!outcome) return report(outcome.error());
  const double ms = std::chrono::duration<double, std::milli>(outcome->took).count();
  std::string text;
  if (command.json) {
    const nlohmann::json json = {{"group", command.group},
                                 {"from", {{"host", outcome->from.host}, {"process", outcome->from.process}}},
                                 {"to", {{"host", outcome->to.host}, {"process", outcome->to.process}}},
                                 {"ms", ms}};
    text = json.dump() + "\n";
  } else {
    text = fmt::format("{} has given {} to {}, which took it after {:.0f} ms\n", describe(outcome->from), command.group,
                       describe(outcome->to), ms);
  }
  const auto written = write_all(STDOUT_FILENO, text);
  return written ? kExitDone : report(written.error());
}

}  // namespace holdfast::node
