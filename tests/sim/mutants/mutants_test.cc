// The simulator is worth what it catches: each bug of base/mutant.h is planted, and must be noticed within a bounded
// number of seeds (which pass without it). Where an assertion of ours notices first, that counts too: worlds run in
// child processes.
#include <gtest/gtest.h>

#include <string>

#include "base/mutant.h"
#include "base/mutant_names.h"
#include "sim/seed_runner.h"

namespace holdfast::sim {
namespace {

constexpr SeedRange kSeeds{1, 600};

struct Outcome {
  bool caught = false;
  std::uint64_t seed = 0;
  std::string how;
};

Outcome hunt(Mutant mutant, const SeedRange& seeds, WorldKind kind = WorldKind::kNode) {
  active_mutant = mutant;
  Outcome outcome;
  run_seeds(seeds, {.kind = kind, .jobs = 2, .quiet = true, .seconds_per_seed = 30}, [&](const WorldResult& result) {
    if (result.ok) return true;
    outcome = {true, result.seed, result.failure};
    return false;
  });
  active_mutant = Mutant::kNone;
  return outcome;
}

void expect_caught(Mutant mutant, WorldKind kind) {
  const Outcome outcome = hunt(mutant, kSeeds, kind);
  EXPECT_TRUE(outcome.caught) << to_string(mutant) << " lives through " << kSeeds.count << " seeds";
  testing::Test::RecordProperty("seed", std::to_string(outcome.seed));
  testing::Test::RecordProperty("how", outcome.how);
  if (outcome.caught) {
    std::printf("%s: seed %llu: %s\n", std::string(to_string(mutant)).c_str(),
                static_cast<unsigned long long>(outcome.seed), outcome.how.c_str());
  }
}

class Mutants : public testing::TestWithParam<Mutant> {};
TEST_P(Mutants, AreCaught) { expect_caught(GetParam(), WorldKind::kNode); }

// Of a service group on a pool: what the pool upholds, and with it that an owner is alone.
class GroupMutants : public testing::TestWithParam<Mutant> {};
TEST_P(GroupMutants, AreCaught) { expect_caught(GetParam(), WorldKind::kGroup); }

std::vector<Mutant> all_mutants() {
  std::vector<Mutant> all;
  for (auto i = static_cast<unsigned>(Mutant::kNone) + 1; i < static_cast<unsigned>(kFirstModelMutant); ++i) {
    all.push_back(static_cast<Mutant>(i));
  }
  return all;
}

std::string name_of(const testing::TestParamInfo<Mutant>& info) {
  std::string name(to_string(info.param));
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Planted, Mutants, testing::ValuesIn(all_mutants()), name_of);

constexpr Mutant kOfGroups[] = {Mutant::kPoolNoGuard,     Mutant::kPoolNoFence,     Mutant::kPoolLapsedReports,
                                Mutant::kPoolTakesBlind,  Mutant::kPoolTimeoutDone, Mutant::kPoolHeadUnguarded,
                                Mutant::kPoolUsedUnnamed, Mutant::kSilentIsEmpty,   Mutant::kPoolFenceLate,
                                Mutant::kGateOff,         Mutant::kAskAtOnce,       Mutant::kNoPromise};
INSTANTIATE_TEST_SUITE_P(Planted, GroupMutants, testing::ValuesIn(kOfGroups), name_of);

TEST(NoMutant, TheSameCodeWithoutABugPasses) {
  const Outcome outcome = hunt(Mutant::kNone, {1, 100});
  EXPECT_FALSE(outcome.caught) << "seed " << outcome.seed << ": " << outcome.how;
}

}  // namespace
}  // namespace holdfast::sim
