#include "node/trim.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "gate/stored_connections.h"
#include "node/entropy.h"
#include "node/event_file.h"
#include "node/output.h"
#include "node/storage.h"
#include "node/stored_log.h"
#include "node/trim_request.h"
#include "node/values.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

constexpr Duration kBound = std::chrono::seconds(60);  // for locations that answer slowly

using Json = nlohmann::ordered_json;

Result<log::TrimPlan> plan(const StreamsCommand& command) {
  auto stored = StoredLog::open(command.data);
  if (!stored) return std::unexpected(stored.error());
  if (!stored->problems().empty()) {
    return fail(stored->problems().front().kind,
                stored->problems().front().message + ": all places are needed to trim");
  }
  log::TrimWish wish;
  wish.keep_bytes = command.keep_bytes;
  wish.closed = command.all_closed;
  if (command.older_than > Duration::zero()) {
    wish.sealed_before = wall_clock_now() - static_cast<std::uint64_t>(command.older_than.count());
  }
  return stored->reader().plan_trim(wish);
}

struct Done {
  SegmentNumber first_kept;  // may be less than was planned: something is needed still
};

// As a node would, with its lock and an epoch of its own: nobody else writes meanwhile.
Result<Done> carry_out(const StreamsCommand& command, const log::TrimPlan& plan) {
  auto ring = location::Ring::create();
  if (!ring) return std::unexpected(ring.error());
  auto places = open_places(command.data, {}, who_we_are(0), **ring);
  if (!places) return std::unexpected(places.error());
  const auto pools = places->pools;
  log::Options options;
  options.wall_clock = wall_clock_now();
  gate::Recovery recovered;
  const auto warn = [](const std::string& message) {
    (void)write_all(STDERR_FILENO, fmt::format("holdfast: warning: {}\n", message));
  };
  auto log = open_log(*std::move(places), options, recovered, warn);
  if (!log) return std::unexpected(log.error());
  gate::StoredConnections connections(**log, recovered.connections());
  (*log)->set_checkpoint_source(&connections);
  (*log)->release_before(plan.first_kept);
  const Time bound = shard::monotonic_now() + kBound;
  while (shard::monotonic_now() < bound && (!(*log)->release_settled() || (*log)->busy())) {
    (*log)->pump(true);
    if (auto enough = check_quorum(**log); !enough) return std::unexpected(enough.error());
    if ((*log)->busy()) (*ring)->wait(std::chrono::milliseconds(100));
  }
  const SegmentNumber first_kept = (*log)->released().first_kept;
  const bool settled = (*log)->release_settled();
  (*log)->set_checkpoint_source(nullptr);
  for (auto* const pool : pools) (void)pool->release(std::chrono::seconds(1));
  if (!settled) return fail(Error::Kind::kTimeout, "the storage does not answer: try again; nothing is half done");
  return Done{first_kept};
}

// Of a node that runs: it is asked to.
Result<Done> ask_the_node(const StreamsCommand& command, const log::TrimPlan& plan) {
  const Trim request{draw_seed(), plan.first_kept};
  const auto directory = std::ranges::find_if_not(command.data, location::rados::is_address);
  const auto answer = directory == command.data.end() ? ask_pool_for_trim(command.data.front(), request, kBound)
                                                      : ask_for_trim(*directory, request, kBound);
  if (!answer) return std::unexpected(answer.error());
  return Done{*answer};
}

Json range(const log::StreamRange& r) { return Json::array({r.begin.value, r.end.value}); }

std::string to_json(const log::TrimPlan& plan, bool dry_run) {
  Json object;
  object["dry_run"] = dry_run;
  object["segments"] = plan.segments;
  object["bytes"] = plan.bytes;
  object["first_kept"] = plan.first_kept.value;
  object["streams"] = Json::array();
  for (const auto& loss : plan.losses) {
    object["streams"].push_back({{"id", loss.stream.value}, {"in", range(loss.in)}, {"out", range(loss.out)}});
  }
  return object.dump(2) + "\n";
}

std::string to_text(const log::TrimPlan& plan, bool dry_run) {
  if (plan.segments == 0) return "nothing to free\n";
  std::string text = fmt::format("{} {} segment{}, {}\n", dry_run ? "would free" : "freed", plan.segments,
                                 plan.segments == 1 ? "" : "s", human_size(plan.bytes));
  for (const auto& loss : plan.losses) {
    const auto tell = [&](const char* direction, const log::StreamRange& r) {
      if (r.size() == 0) return;
      text += fmt::format("stream {} {} {}: bytes [{}, {})\n", loss.stream.value, dry_run ? "would lose" : "lost",
                          direction, r.begin.value, r.end.value);
    };
    tell("in", loss.in);
    tell("out", loss.out);
  }
  return text;
}

Result<void> run(const StreamsCommand& command) {
  const auto planned = plan(command);
  if (!planned) return std::unexpected(planned.error());
  if (!command.dry_run && planned->segments > 0) {
    auto done = carry_out(command, *planned);
    if (!done && done.error().kind == Error::Kind::kBusy) done = ask_the_node(command, *planned);
    if (!done) return std::unexpected(done.error());
    if (done->first_kept < planned->first_kept) {
      return fail(Error::Kind::kUnavailable,
                  "a live connection still needs bytes in these segments (streams list): less was freed than was asked "
                  "for");
    }
  }
  const auto text = command.json ? to_json(*planned, command.dry_run) : to_text(*planned, command.dry_run);
  if (auto written = write_all(STDOUT_FILENO, text); !written) return std::unexpected(written.error());
  return {};
}

}  // namespace

int trim(const StreamsCommand& command) {
  const auto done = run(command);
  return done ? kExitDone : report(done.error());
}

}  // namespace holdfast::node
