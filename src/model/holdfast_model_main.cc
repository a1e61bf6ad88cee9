// holdfast-model: the N-way handshake, explored to the end for each N. Exit status 0: every property holds; 1: one is
// broken, or there were more states than allowed; 2: usage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "base/mutant_names.h"
#include "model/checker.h"
#include "model/report.h"

namespace {

using namespace holdfast;

struct Options {
  unsigned from = wire::kMinWays, to = wire::kMaxWays, jobs = 1;
  bool full = false, json = false, each = false, list = false, first = false;
  std::string only, mutant;
  model::Limits limits;
};

bool parse(int argc, char** argv, Options& options, int& status) {
  CLI::App app(
      "Explores every state of the N-way handshake, for each N: the machine that runs, over a channel that "
      "loses, duplicates and reorders, with crashes, restarts, late copies and forgeries.");
  const auto ways = CLI::Range(unsigned{wire::kMinWays}, unsigned{wire::kMaxWays});
  app.add_option("--from", options.from, "The first N")->capture_default_str()->check(ways);
  app.add_option("--to", options.to, "The last N")->capture_default_str()->check(ways);
  app.add_flag("--full", options.full, "More faults in one run, for every N: takes much longer");
  app.add_option("--scenario", options.only, "Only scenarios whose name contains this");
  app.add_flag("--list", options.list, "Print the scenarios' names, and do nothing");
  app.add_flag("--each", options.each, "A line for each scenario");
  app.add_flag("--first", options.first, "Stop at the first counterexample");
  app.add_option("--jobs", options.jobs, "Scenarios at the same time")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  app.add_option("--states", options.limits.states, "Give up a scenario beyond so many")->capture_default_str();
  app.add_flag("--json", options.json, "Print everything as JSON");
  app.add_option("--mutant", options.mutant,
                 "Plant a seeded bug, and stop at the first counterexample (only in a build with mutants)");
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
    fmt::print(stderr, "holdfast-model: no seeded bug is called \"{}\"; src/base/mutant.h lists them\n", name);
    return false;
  }
#ifdef HOLDFAST_MUTANTS
  active_mutant = *mutant;
  return true;
#else
  fmt::print(stderr, "holdfast-model: this build has no seeded bugs: use holdfast-model-mutants\n");
  return false;
#endif
}

std::vector<model::Scenario> chosen(const Options& options) {
  std::vector<model::Scenario> all;
  for (unsigned ways = options.from; ways <= options.to; ++ways) {
    for (auto& scenario :
         model::scenarios(static_cast<std::uint8_t>(ways), options.full ? model::Depth::kFull : model::Depth::kQuick)) {
      if (scenario.name.find(options.only) != std::string::npos) all.push_back(std::move(scenario));
    }
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int status = 0;
  if (!parse(argc, argv, options, status)) return status;
  if (!options.mutant.empty() && !plant(options.mutant)) return 2;
  const bool stop_early = options.first || !options.mutant.empty();
  const std::vector<model::Scenario> all = chosen(options);
  if (options.list) {
    for (const auto& scenario : all) fmt::print("{:>3} {}\n", scenario.ways, scenario.name);
    return 0;
  }
  if (options.from > options.to) {
    fmt::print(stderr, "holdfast-model: --from {} is beyond --to {}\n", options.from, options.to);
    return 2;
  }
  if (all.empty()) {
    fmt::print(stderr, "holdfast-model: nothing to explore: no scenario is called \"{}\"; --list names them\n",
               options.only);
    return 2;
  }
  model::Report report(options.json, options.each);
  for (const auto& scenario : all) report.expect(scenario.ways);
  std::atomic<std::size_t> next = 0;
  std::mutex reporting;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < options.jobs; ++i) {
      threads.emplace_back([&] {
        for (std::size_t at = next++; at < all.size(); at = next++) {
          const model::Verdict verdict = model::check(all[at], options.limits);
          const std::lock_guard lock(reporting);
          report.add(all[at], verdict);
          if (stop_early && report.broken()) next = all.size();
        }
      });
    }
  }
  return report.finish() ? 0 : 1;
}
