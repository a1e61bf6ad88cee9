#include "sim/world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

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

// Worlds that end in a complaint although no rule is broken: the node dies before the record of a connection that it
// dials is stored, nothing of it has left, and the world's application does not dial again. One that passes comes off
// the list.
constexpr std::uint64_t kKnownComplaints[] = {432, 558};

class Seeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Seeds, NoRuleIsBroken) {
  const std::uint64_t first = GetParam();
  for (std::uint64_t seed = first; seed < first + 50; ++seed) {
    const WorldResult result = run_world(seed, {});
    if (std::ranges::find(kKnownComplaints, seed) != std::end(kKnownComplaints)) {
      EXPECT_NE(result.failure.find("dialled connection"), std::string::npos)
          << "seed " << seed << ": " << result.failure;
      continue;
    }
    EXPECT_TRUE(result.ok) << "seed " << seed << ": " << result.failure << "\n  " << result.scenario
                           << "\n  replay: holdfast-sim --from " << seed << " --seeds 1 --trace";
  }
}

INSTANTIATE_TEST_SUITE_P(World, Seeds, testing::Range<std::uint64_t>(1, 1001, 50));

}  // namespace
}  // namespace holdfast::sim
