// A pool that does not answer in time while a log is opened: what it holds is not known then, which is something else
// than that there is nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "location/rados/memory_store.h"
#include "location/rados/pool.h"
#include "log/world.h"

namespace holdfast::log {
namespace {

using location::rados::Journey;
using location::rados::MemoryCluster;
using location::rados::MemoryOperation;
using location::rados::MemoryStore;
using location::rados::Pool;
using location::rados::Self;

constexpr StreamId kStream{1};

class PoolSilence : public testing::Test {
 protected:
  using Clusters = std::vector<std::shared_ptr<MemoryCluster>>;

  Result<std::unique_ptr<Log>> open(const Clusters& clusters) {
    std::vector<std::unique_ptr<location::Location>> locations;
    for (std::size_t i = 0; i < clusters.size(); ++i) {
      Self self{"a", "host", 1, "", std::chrono::seconds(2), ""};
      self.reads_again_for = Duration{};
      locations.push_back(std::make_unique<Pool>("rados:" + std::string(1, static_cast<char>('a' + i)), "log",
                                                 std::make_unique<MemoryStore>(clusters[i]), self));
    }
    std::array<std::byte, 96> entropy;
    for (std::byte& b : entropy) b = static_cast<std::byte>(++random_ * 37);
    seen_ = test::Recorder{};
    return Log::open(std::move(locations), test::small_options(), entropy, std::chrono::seconds(5), seen_);
  }

  // What the pool says of its own progress, which lags: it is stored now and then.
  static std::vector<std::byte>& progress(MemoryCluster& cluster) {
    return cluster.objects.at("log.head").entries["blob-progress"];
  }

  // Opens it, appends this, and ends once it is durable.
  void append(const Clusters& clusters, const std::string& text) {
    auto log = open(clusters);
    ASSERT_TRUE(log) << log.error().message;
    const std::string before = seen_.in_bytes(kStream);
    const Lsn lsn = (*log)->append(test::in_record(kStream.value, before.size()), test::text(text));
    while ((*log)->durable() < lsn) pump(clusters, **log);
    while ((*log)->busy()) pump(clusters, **log);
  }

  static void pump(const Clusters& clusters, Log& log) {
    log.pump(true);
    for (const auto& cluster : clusters) (void)cluster->step(cluster->now() + std::chrono::milliseconds(1));
  }

  // The newest segment that something was written to is not told of, for so many questions.
  static void silence(MemoryCluster& cluster, unsigned questions) {
    std::string newest;
    for (const auto& [name, object] : cluster.objects) {
      if (std::ranges::any_of(object.data, [](std::byte b) { return b != std::byte{}; })) newest = name;
    }
    cluster.decide = [newest, left = std::make_shared<unsigned>(questions)](const MemoryOperation& operation) {
      Journey journey;
      journey.lost = operation.read != nullptr && operation.read->object == newest && *left > 0;
      if (journey.lost) --*left;
      return journey;
    };
  }

  test::Recorder seen_;
  unsigned random_ = 0;
};

TEST_F(PoolSilence, IsNotTakenForNothing) {
  const Clusters clusters{std::make_shared<MemoryCluster>()};
  append(clusters, "one");
  const auto lagging = progress(*clusters[0]);
  append(clusters, "two");
  progress(*clusters[0]) = lagging;
  for (const unsigned questions : {1U, 2U, 1000U}) {
    silence(*clusters[0], questions);
    auto log = open(clusters);
    ASSERT_FALSE(log) << questions << " questions without an answer";
    EXPECT_EQ(log.error().kind, Error::Kind::kUnavailable) << log.error().message;
    EXPECT_NE(log.error().message.find("no answer"), std::string::npos) << log.error().message;
  }
  clusters[0]->decide = {};
  auto log = open(clusters);
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ(seen_.in_bytes(kStream), "onetwo");
}

TEST_F(PoolSilence, OfOneOfThreeCostsThatOne) {
  Clusters clusters;
  for (int i = 0; i < 3; ++i) clusters.push_back(std::make_shared<MemoryCluster>());
  append(clusters, "one");
  append(clusters, "two");
  silence(*clusters[1], 1);
  auto log = open(clusters);
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ(seen_.in_bytes(kStream), "onetwo");
  EXPECT_EQ((*log)->locations()[1].state, LocationState::kFailed);
  EXPECT_EQ((*log)->locations()[0].state, LocationState::kActive);
}

}  // namespace
}  // namespace holdfast::log
