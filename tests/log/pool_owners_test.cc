// The log on a RADOS pool in memory, with two nodes that want it: they pause, die and start again, and what they send
// is late, lost or answered by nobody. What one has told to be durable is found by the next. (What pools do to each
// other is for location/pool_simulation_test.cc; here it is the log's own use of one that is tried.)
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "location/rados/memory_store.h"
#include "location/rados/pool.h"
#include "log/world.h"
#include "sim/fiber.h"

namespace holdfast::log {
namespace {

using location::rados::Journey;
using location::rados::MemoryCluster;
using location::rados::MemoryOperation;
using location::rados::MemoryStore;
using location::rados::Pool;
using location::rados::Self;
using sim::Fiber;

constexpr Duration kLease = std::chrono::milliseconds(400);
constexpr StreamId kStream{1};

class Owners {
 public:
  // `way`: at the least, one way.
  explicit Owners(std::uint64_t seed, Duration way = {}) : random_(seed), far_(way > Duration::zero()) {
    cluster_->bound = 2 * kLease;
    cluster_->decide = [this, way](const MemoryOperation&) {
      Journey journey{way + below(std::chrono::milliseconds(2)), way + below(std::chrono::milliseconds(2)), false};
      if (calm_) return journey;
      if (below(300) == 0) journey.lost = true;
      if (below(60) == 0) (below(2) == 0 ? journey.there : journey.back) += below(6 * kLease);
      return journey;
    };
    for (int i = 0; i < 2; ++i) nodes_.push_back(std::make_unique<Node>());
  }
  ~Owners() {
    for (const auto& node : nodes_) kill(*node);
  }

  void run() {
    const Time end = Time{} + 20 * kLease;
    while (cluster_->now() < end && failure.empty()) {
      Node& node = *nodes_[below(2)];
      switch (below(4)) {
        case 0:
          kill(node);
          break;
        case 1:
          node.paused_until = cluster_->now() + below(4 * kLease);
          break;
        default:
          break;
      }
      start_dead();
      run_until(cluster_->now() + below(2 * kLease));
    }
    calm_ = true;
    for (const auto& node : nodes_) node->paused_until = Time{};
    const std::size_t before = durable_.size();
    for (int i = 0; i < 200 && durable_.size() == before && failure.empty(); ++i) {
      start_dead();
      run_until(cluster_->now() + kLease);
    }
    if (failure.empty() && durable_.size() == before) failure = "nobody goes on: " + problem_;
  }

  std::string failure;
  std::size_t durable() const { return durable_.size(); }
  unsigned opened = 0;
  unsigned most_at_once = 0;  // writes

 private:
  struct Node {
    std::unique_ptr<Fiber> fiber;
    MemoryStore* store = nullptr;
    bool killed = false;
    Time sleeps_until{}, paused_until{};
    bool running() const { return fiber && !fiber->ended(); }
  };

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  Duration below(Duration d) { return Duration(below(static_cast<std::uint64_t>(d.count()) + 1)); }

  void kill(Node& node) {
    if (!node.running()) return;
    node.killed = true;
    node.paused_until = Time{};
    if (node.store != nullptr) cluster_->kill(node.store->client());
    while (node.running()) node.fiber->resume();
  }

  void start_dead() {
    for (const auto& node : nodes_) {
      if (node->running()) continue;
      node->killed = false;
      node->sleeps_until = cluster_->now();
      node->fiber = std::make_unique<Fiber>([this, at = node.get()] { live(*at); });
    }
  }

  Time wakes_at(const Node& node) const {
    if (!node.running()) return kNever;
    return std::max(node.store != nullptr && node.store->ready() ? cluster_->now() : node.sleeps_until,
                    node.paused_until);
  }

  void run_until(Time end) {
    while (failure.empty()) {
      Time next = end;
      for (const auto& node : nodes_) {
        if (wakes_at(*node) <= cluster_->now()) node->fiber->resume();
        next = std::min(next, wakes_at(*node));
      }
      if (next <= cluster_->now() && cluster_->now() < end) continue;
      if (!cluster_->step(next) && cluster_->now() >= end) return;
    }
  }

  static void sleep(Node& node, Time until) {
    node.sleeps_until = until;
    node.fiber->pause();
  }

  void live(Node& node) {
    if (node.killed) return;
    auto store = std::make_unique<MemoryStore>(cluster_, location::rados::MemoryClock{},
                                               [&node](Time until) { sleep(node, until); });
    node.store = store.get();
    const std::string name = &node == nodes_[0].get() ? "a" : "b";
    append(node, std::make_unique<Pool>("rados:hf", "log", std::move(store), Self{name, name, 1, "", kLease, ""}));
    node.store = nullptr;
    if (!node.killed) sleep(node, cluster_->now() + below(kLease));
  }

  void append(Node& node, std::unique_ptr<Pool> pool) {
    std::vector<std::unique_ptr<location::Location>> locations;
    locations.push_back(std::move(pool));
    std::array<std::byte, 96> entropy{};
    for (std::byte& b : entropy) b = static_cast<std::byte>(random_());
    test::Recorder seen;
    const std::size_t known = durable_.size();
    auto opened_log = Log::open(std::move(locations), test::small_options(), entropy, 3 * kLease, seen);
    if (node.killed) return;
    if (!opened_log) {
      problem_ = opened_log.error().message;
      return;
    }
    ++opened;
    const auto& log = *opened_log;
    std::string stream = seen.in_bytes(kStream);
    // What was durable before this one began to open: a predecessor that does not know yet tells nothing more by then.
    if (stream.compare(0, known, durable_, 0, known) != 0) {
      failure = "an owner finds " + std::to_string(stream.size()) + " bytes, and not the " + std::to_string(known) +
                " that were durable";
      return;
    }
    std::vector<std::pair<Lsn, std::size_t>> ends{{log->epoch_start(), stream.size()}};
    while (!node.killed && failure.empty()) {
      log->tell_time(cluster_->now());
      log->pump(true);
      if (node.killed) return;
      most_at_once = std::max(most_at_once, log->take_writes().most_at_once);
      while (!ends.empty() && ends.front().first <= log->durable()) {
        tell(stream.substr(0, ends.front().second));
        ends.erase(ends.begin());
      }
      if (log->quorum_lost()) {
        problem_ = log->locations()[0].reason;
        return;
      }
      if (ends.size() < (far_ ? 40 : 4)) {
        const auto bytes = test::pattern(random_(), 0, 1 + below(3000));
        const Lsn lsn = log->append(test::in_record(kStream.value, stream.size()), bytes);
        if (lsn != Lsn{}) {
          stream += test::to_text(bytes);
          ends.emplace_back(lsn, stream.size());
        }
      }
      if (below(200) == 0) return;  // ends, and gives the log back where it can
      const Duration idle = below(std::chrono::milliseconds(far_ ? 4 : 20));
      sleep(node, std::min(cluster_->now() + idle, node.store->wakes_at()));
    }
  }

  void tell(const std::string& stream) {
    if (stream.size() < durable_.size() || stream.compare(0, durable_.size(), durable_) != 0) {
      failure = "what is told to be durable is not what was told before";
      return;
    }
    durable_ = stream;
  }

  std::mt19937_64 random_;
  const bool far_;
  const std::shared_ptr<MemoryCluster> cluster_ = std::make_shared<MemoryCluster>();
  std::vector<std::unique_ptr<Node>> nodes_;
  std::string durable_;  // of the stream, as told by whoever owned the log
  std::string problem_;
  bool calm_ = false;
};

TEST(PoolOwners, EachFindsWhatThoseBeforeItToldToBeDurable) {
  std::size_t durable = 0, opened = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Owners owners(seed);
    owners.run();
    ASSERT_EQ(owners.failure, "") << "seed " << seed;
    durable += owners.durable();
    opened += owners.opened;
  }
  std::printf("%zu bytes durable, opened %zu times\n", durable, opened);
}

TEST(PoolOwners, TheSameWithManyWritesOnTheWayToAPoolFarAway) {
  unsigned most = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Owners owners(seed, std::chrono::milliseconds(15));
    owners.run();
    ASSERT_EQ(owners.failure, "") << "seed " << seed;
    most = std::max(most, owners.most_at_once);
  }
  EXPECT_GT(most, 8U);
}

}  // namespace
}  // namespace holdfast::log
