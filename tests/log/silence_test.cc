// A location that does not answer says nothing of what it has: recovery takes no silence for the end of the log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
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
using testing::HasSubstr;

constexpr StreamId kStream{1};

class Silence : public testing::Test {
 protected:
  // On pools of clusters of their own.
  std::string open() {
    log.reset();
    seen = test::Recorder();
    std::vector<std::unique_ptr<location::Location>> locations;
    for (std::size_t i = 0; i < clusters.size(); ++i) {
      auto pass = [this](Time until) {
        const Time next = std::min(until, clusters[0]->now() + std::chrono::milliseconds(1));
        for (const auto& cluster : clusters) {
          while (cluster->step(next)) {
          }
        }
      };
      auto store = std::make_unique<MemoryStore>(clusters[i], location::rados::MemoryClock{}, pass);
      auto pool = std::make_unique<Pool>(names.at(i), "log", std::move(store),
                                         Self{"a", "h", 1, "", std::chrono::seconds(2), ""});
      pool->set_patience({.reads = {}, .over = {}, .tell = {}});
      locations.push_back(std::move(pool));
    }
    std::array<std::byte, 96> entropy{};
    entropy[0] = static_cast<std::byte>(++starts);
    auto opened = Log::open(std::move(locations), test::small_options(), entropy, std::chrono::seconds(5), seen);
    if (!opened) {
      kind = opened.error().kind;
      return opened.error().message;
    }
    log = *std::move(opened);
    return {};
  }
  void settle() {
    for (int i = 0; i < 100'000 && (log->has_unissued() || log->busy()); ++i) {
      log->pump(true);
      for (const auto& cluster : clusters) cluster->step(cluster->now() + std::chrono::milliseconds(1));
    }
    log->pump(true);
  }
  void append(std::size_t length) {
    const auto bytes = test::pattern(kStream.value, stream.size(), length);
    ASSERT_NE(log->append(test::in_record(kStream.value, stream.size()), bytes), Lsn{});
    stream += test::to_text(bytes);
    settle();
    ASSERT_FALSE(log->busy() || log->quorum_lost());
  }
  // Some segments' worth; the last one has a batch.
  void fill() {
    ASSERT_EQ(open(), "");
    settle();
    for (int i = 0; i < 30; ++i) append(100'000);
    log.reset();
  }
  // One batch of an epoch of its own.
  void append_in_an_epoch(std::size_t length) {
    ASSERT_EQ(open(), "");
    settle();
    append(length);
    log.reset();
  }
  // What a pool says of its own progress, which lags: it is stored now and then.
  std::vector<std::byte>& progress(std::size_t which) {
    return clusters[which]->objects.at("log.head").entries["blob-progress"];
  }
  // Of this cluster, so many reads of the segment that was written to last are answered by nobody.
  void silence(std::size_t which, unsigned questions = ~0U) {
    std::string newest;
    for (const auto& [name, object] : clusters[which]->objects) {
      if (!object.data.empty() && object.data[0] != std::byte{}) newest = name;
    }
    ASSERT_NE(newest, "");
    clusters[which]->decide = [newest, left = questions](const MemoryOperation& operation) mutable {
      const bool lost = operation.read != nullptr && operation.read->object == newest && left > 0;
      if (lost) --left;
      return Journey{.lost = lost};
    };
  }

  std::vector<std::shared_ptr<MemoryCluster>> clusters{std::make_shared<MemoryCluster>()};
  const std::vector<std::string> names{"rados:a", "rados:b", "rados:c"};
  std::string stream;
  test::Recorder seen;
  std::unique_ptr<Log> log;
  unsigned starts = 0;
  Error::Kind kind{};  // of the last start that failed
};

TEST_F(Silence, OfTheNewestSegmentIsNotItsEnd) {
  fill();
  silence(0);
  const Time begun = clusters[0]->now();
  EXPECT_THAT(open(), HasSubstr("no answer from the cluster in time"));
  EXPECT_LE(clusters[0]->now() - begun, 2 * clusters[0]->bound) << "each segment that is silent was waited for";
  clusters[0]->decide = {};
  ASSERT_EQ(open(), "");
  EXPECT_EQ(seen.in_bytes(kStream).size(), stream.size());
  EXPECT_TRUE(seen.in_bytes(kStream) == stream);
}

// Nor where it is short, and nothing else tells that there is more.
TEST_F(Silence, OfAFewReadsIsNotTheEnd) {
  append_in_an_epoch(3);
  const auto lagging = progress(0);
  append_in_an_epoch(3);
  progress(0) = lagging;
  for (const unsigned questions : {1U, 2U, 1000U}) {
    silence(0, questions);
    EXPECT_THAT(open(), HasSubstr("no answer")) << questions << " questions without an answer";
    EXPECT_EQ(kind, Error::Kind::kUnavailable);
  }
  clusters[0]->decide = {};
  ASSERT_EQ(open(), "");
  EXPECT_EQ(seen.in_bytes(kStream), stream);
}

TEST_F(Silence, OfOneLocationLeavesItOut) {
  for (const unsigned questions : {1U, ~0U}) {
    clusters.clear();
    for (int i = 0; i < 3; ++i) clusters.push_back(std::make_shared<MemoryCluster>());
    stream.clear();
    fill();
    silence(1, questions);
    ASSERT_EQ(open(), "");
    EXPECT_TRUE(seen.in_bytes(kStream) == stream);
    EXPECT_EQ(log->locations()[0].state, LocationState::kActive);
    EXPECT_EQ(log->locations()[1].state, LocationState::kFailed);
    EXPECT_THAT(log->locations()[1].reason, HasSubstr("no answer from the cluster in time"));
    log.reset();
  }
}

}  // namespace
}  // namespace holdfast::log
