// The simulation of a pool's owners is worth what it catches: each seeded bug is planted, and must be noticed within a
// bounded number of seeds (which pass without it).
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/mutant.h"
#include "base/mutant_names.h"
#include "location/pool_world.h"

namespace holdfast::location::rados::test {
namespace {

constexpr std::uint64_t kSeeds = 1000;

std::vector<Mutant> planted() {
  std::vector<Mutant> all;
  for (auto i = static_cast<unsigned>(kFirstPoolMutant); i < static_cast<unsigned>(kFirstGroupMutant); ++i) {
    all.push_back(static_cast<Mutant>(i));
  }
  return all;
}

class PoolMutants : public testing::TestWithParam<Mutant> {
 protected:
  void SetUp() override { active_mutant = GetParam(); }
  void TearDown() override { active_mutant = Mutant::kNone; }
};

TEST_P(PoolMutants, AreCaught) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const PoolWorldResult result = PoolWorld(seed).run();
    if (result.failure.empty()) continue;
    std::printf("%s: seed %llu: %s\n", std::string(to_string(GetParam())).c_str(),
                static_cast<unsigned long long>(seed), result.failure.c_str());
    return;
  }
  ADD_FAILURE() << to_string(GetParam()) << " lives through " << kSeeds << " seeds";
}

std::string name_of(const testing::TestParamInfo<Mutant>& info) {
  std::string name(to_string(info.param));
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Planted, PoolMutants, testing::ValuesIn(planted()), name_of);

TEST(NoPoolMutant, TheSameCodeWithoutABugPasses) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) EXPECT_EQ(PoolWorld(seed).run().failure, "") << "seed " << seed;
}

}  // namespace
}  // namespace holdfast::location::rados::test
