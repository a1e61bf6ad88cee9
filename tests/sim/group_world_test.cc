#include "sim/group_world.h"

#include <gtest/gtest.h>

namespace holdfast::sim {
namespace {

TEST(GroupWorld, OneSeedIsOneTrace) {
  for (const std::uint64_t seed : {3ULL, 17ULL, 40ULL}) {
    const WorldResult first = run_group_world(seed, {});
    const WorldResult second = run_group_world(seed, {});
    EXPECT_EQ(first.trace_hash, second.trace_hash) << first.scenario;
    EXPECT_EQ(first.events, second.events);
    EXPECT_NE(first.trace_hash, run_group_world(seed + 1, {}).trace_hash);
  }
}

class GroupSeeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(GroupSeeds, NoOwnerBreaksARule) {
  const std::uint64_t first = GetParam();
  for (std::uint64_t seed = first; seed < first + 50; ++seed) {
    const WorldResult result = run_group_world(seed, {});
    EXPECT_TRUE(result.ok) << "seed " << seed << ": " << result.failure << "\n  " << result.scenario
                           << "\n  replay: holdfast-sim --pools --from " << seed << " --seeds 1 --trace";
  }
}

INSTANTIATE_TEST_SUITE_P(World, GroupSeeds, testing::Range<std::uint64_t>(1, 401, 50));

}  // namespace
}  // namespace holdfast::sim
