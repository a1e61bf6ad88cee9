// Many worlds (pool_world.h), each from its seed. HOLDFAST_POOL_SEEDS=FIRST,COUNT runs others, HOLDFAST_POOL_TRACE=1
// shows what the cluster executes.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "location/pool_world.h"

namespace holdfast::location::rados::test {
namespace {

TEST(PoolSimulation, EveryAcknowledgedBlockIsFoundByEveryLaterOwnerUnchangedAndOnce) {
  unsigned long long first = 1, count = 1000;
  if (const char* seeds = std::getenv("HOLDFAST_POOL_SEEDS")) {
    ASSERT_EQ(std::sscanf(seeds, "%llu,%llu", &first, &count), 2);
  }
  PoolWorldResult sum;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    PoolWorld world(seed);
    world.trace = std::getenv("HOLDFAST_POOL_TRACE") != nullptr;
    const PoolWorldResult result = world.run();
    ASSERT_EQ(result.failure, "") << "seed " << seed << ": HOLDFAST_POOL_SEEDS=" << seed << ",1";
    sum.acknowledged += result.acknowledged;
    sum.owners += result.owners;
    sum.kills += result.kills;
    sum.pauses += result.pauses;
    sum.unknown += result.unknown;
    sum.landed_late += result.landed_late;
  }
  std::printf(
      "%llu seeds: %llu blocks acknowledged by %llu owners; %llu kills, %llu pauses, %llu unknown outcomes, "
      "%llu executed after that\n",
      count, static_cast<unsigned long long>(sum.acknowledged), static_cast<unsigned long long>(sum.owners),
      static_cast<unsigned long long>(sum.kills), static_cast<unsigned long long>(sum.pauses),
      static_cast<unsigned long long>(sum.unknown), static_cast<unsigned long long>(sum.landed_late));
}

}  // namespace
}  // namespace holdfast::location::rados::test
