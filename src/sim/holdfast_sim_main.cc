// holdfast-sim: runs the simulator over a range of seeds. Exit status 0: every seed passed; 1: some failed; 2: usage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <thread>

#include "base/mutant_names.h"
#include "sim/report.h"
#include "sim/seed_runner.h"
#include "sim/world.h"

namespace {

using namespace holdfast;

struct Options {
  sim::SeedRange range;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  bool trace = false, json = false, group = false;
  sim::WorldKind kind() const { return group ? sim::WorldKind::kGroup : sim::WorldKind::kNode; }
  std::string mutant;
};

bool parse(int argc, char** argv, Options& options, int& status) {
  CLI::App app("Runs Holdfast's simulator: one world for each seed, judged by the oracle.");
  app.add_option("--seeds", options.range.count, "How many seeds")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--from", options.range.first, "The first seed")->capture_default_str();
  app.add_option("--jobs", options.jobs, "Worlds at the same time")->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_flag("--pools", options.group, "Worlds in which a service group shares a pool, instead of a node with disks");
  app.add_flag("--trace", options.trace, "Print what happens, frame by frame; one seed after the other");
  app.add_flag("--json", options.json, "Print the summary as JSON");
  app.add_option("--mutant", options.mutant, "Plant a seeded bug (only in a build with mutants)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    status = app.exit(error) == 0 ? 0 : 2;
    return false;
  }
  return true;
}

bool plant(const std::string& name) {
  const auto mutant = mutant_named(name);
  if (!mutant) {
    fmt::print(stderr, "holdfast-sim: no seeded bug is called \"{}\"; src/base/mutant.h lists them\n", name);
    return false;
  }
#ifdef HOLDFAST_MUTANTS
  active_mutant = *mutant;
  return true;
#else
  fmt::print(stderr, "holdfast-sim: this build has no seeded bugs: use holdfast-sim-mutants\n");
  return false;
#endif
}

int trace_seeds(sim::WorldKind kind, const sim::SeedRange& range) {
  bool ok = true;
  for (std::uint64_t seed = range.first; seed != range.first + range.count; ++seed) {
    const sim::WorldResult result = sim::run_any_world(kind, seed, {.trace = true});
    fmt::print("seed {}: {}, {} events, {:.1f} simulated seconds, trace {:016x}\n", seed,
               result.ok ? "passed" : "FAILED " + result.failure, result.events, result.simulated_seconds,
               result.trace_hash);
    ok &= result.ok;
  }
  return ok ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int status = 0;
  if (!parse(argc, argv, options, status)) return status;
  std::string replay = argv[0];
  if (!options.mutant.empty()) {
    if (!plant(options.mutant)) return 2;
    replay += " --mutant " + options.mutant;
  }
  if (options.group) replay += " --pools";
  if (options.trace) return trace_seeds(options.kind(), options.range);
  sim::Report report(options.kind(), options.range.count, replay, options.json);
  sim::run_seeds(options.range, {.kind = options.kind(), .jobs = options.jobs}, [&](const sim::WorldResult& result) {
    report.add(result);
    return true;
  });
  return report.finish() ? 0 : 1;
}
