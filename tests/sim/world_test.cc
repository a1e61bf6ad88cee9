#include "sim/world.h"

#include <gtest/gtest.h>

namespace holdfast::sim {
namespace {

TEST(World, OneSeedIsOneTrace) {
  for (const std::uint64_t seed : {3ULL, 17ULL, 40ULL}) {
    const WorldResult first = run_world(seed, {});
    const WorldResult second = run_world(seed, {});
    EXPECT_EQ(first.trace_hash, second.trace_hash) << first.scenario;
    EXPECT_EQ(first.events, second.events);
    EXPECT_NE(first.trace_hash, run_world(seed + 1, {}).trace_hash);
  }
}

class Seeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Seeds, NoRuleIsBroken) {
  const std::uint64_t first = GetParam();
  for (std::uint64_t seed = first; seed < first + 50; ++seed) {
    const WorldResult result = run_world(seed, {});
    EXPECT_TRUE(result.ok) << "seed " << seed << ": " << result.failure << "\n  " << result.scenario
                           << "\n  replay: holdfast-sim --from " << seed << " --seeds 1 --trace";
  }
}

INSTANTIATE_TEST_SUITE_P(World, Seeds, testing::Range<std::uint64_t>(1, 1001, 50));

}  // namespace
}  // namespace holdfast::sim
