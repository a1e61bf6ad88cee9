// A log in several pools: who may take it, and who goes on holding it, where some are out of reach.
#include <gtest/gtest.h>

#include <array>

#include "cluster/standby.h"
#include "cluster/tenure.h"
#include "location/rados/memory_store.h"

namespace holdfast::cluster {
namespace {

using location::rados::Journey;
using location::rados::MemoryCluster;
using location::rados::MemoryOperation;
using location::rados::MemoryStore;
using location::rados::Pool;
using location::rados::Self;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kPools = 3, kNeeded = 2;
constexpr Duration kLease = milliseconds(800);

// Three clusters with a pool each, of which a node's link to some may be cut. Their clocks go together.
class SeveralPools : public testing::Test {
 protected:
  struct Node {
    std::vector<std::unique_ptr<Pool>> pools;
    std::vector<Pool*> views() const {
      std::vector<Pool*> all;
      for (const auto& pool : pools) all.push_back(pool.get());
      return all;
    }
  };

  SeveralPools() {
    for (std::size_t i = 0; i < kPools; ++i) {
      clusters[i]->bound = milliseconds(200);
      clusters[i]->decide = [this, i](const MemoryOperation& operation) {
        return Journey{.lost = cut[i].contains(operation.client)};
      };
    }
  }

  Node node(const std::string& identity, std::size_t opened = kPools) {
    Node made;
    for (std::size_t i = 0; i < opened; ++i) {
      auto store = std::make_unique<MemoryStore>(clusters[i], location::rados::MemoryClock{},
                                                 [this](Time until) { step(until); });
      ids[i][identity] = store->client();
      made.pools.push_back(std::make_unique<Pool>("rados:p" + std::to_string(i), "log", std::move(store),
                                                  Self{identity, "h", 1, "", kLease, ""}));
    }
    return made;
  }

  void step(Time until) {
    const Time next = std::min(until, clusters[0]->now() + milliseconds(1));
    for (const auto& cluster : clusters) {
      while (cluster->step(next)) {
      }
    }
  }
  // Time goes on; owners renew, and each looks at what it has.
  void pass(Duration time, const std::vector<Node*>& owners, Tenure* tenure = nullptr) {
    for (const Time end = clusters[0]->now() + time; clusters[0]->now() < end;) {
      step(end);
      for (Node* owner : owners) {
        for (const auto& pool : owner->pools) (void)pool->poll({});
      }
      if (tenure != nullptr) tenure->look();
    }
  }
  void take(Node& node) {
    for (const auto& pool : node.pools) ASSERT_TRUE(pool->lock(seconds(5)));
  }
  void cut_off(const std::string& identity, std::size_t pool, bool on = true) {
    if (on) {
      cut[pool].insert(ids[pool][identity]);
    } else {
      cut[pool].erase(ids[pool][identity]);
    }
  }
  // Whether the standby is free to take within this time.
  bool gets_free(Standby& standby, Duration within, Node& owner, Tenure& tenure) {
    for (const Time end = clusters[0]->now() + within; clusters[0]->now() < end;) {
      if (standby.look() == Standby::View::kFree) return true;
      pass(milliseconds(50), {&owner}, &tenure);
    }
    return false;
  }

  std::array<std::shared_ptr<MemoryCluster>, kPools> clusters{
      std::make_shared<MemoryCluster>(), std::make_shared<MemoryCluster>(), std::make_shared<MemoryCluster>()};
  std::array<std::set<std::uint64_t>, kPools> cut;
  std::array<std::map<std::string, std::uint64_t>, kPools> ids;
};

TEST_F(SeveralPools, AStandbySeesThatALogIsANewerVersions) {
  auto owner = node("a");
  for (const auto& pool : owner.pools) ASSERT_TRUE(pool->lock(seconds(1)));
  auto other = node("b");
  Standby standby(other.views(), kPools);
  (void)standby.look();
  EXPECT_FALSE(standby.incompatible());
  clusters[2]->objects.at("log.head").attributes["format"] = "2";
  (void)standby.look();
  ASSERT_TRUE(standby.incompatible());
  EXPECT_NE(standby.incompatible()->message.find("rados:p2: written by a newer version"), std::string::npos);
}

TEST_F(SeveralPools, AnOwnerThatReachesTooFewLetsTheRestLapse) {
  Node owner = node("a"), other = node("b");
  take(owner);
  Tenure tenure(owner.views(), kPools, kNeeded);
  Standby standby(other.views(), kPools);
  cut_off("a", 0);
  EXPECT_FALSE(gets_free(standby, 4 * kLease, owner, tenure)) << "it reaches enough";
  EXPECT_FALSE(tenure.holds_back());
  cut_off("a", 1);
  EXPECT_TRUE(gets_free(standby, 4 * kLease, owner, tenure));
  EXPECT_TRUE(tenure.holds_back());
  EXPECT_TRUE(owner.pools[2]->lapsed()) << "nothing is reported as done there either";
  for (const auto& pool : other.pools) ASSERT_TRUE(pool->lock(seconds(5)));
  cut_off("a", 0, false);
  cut_off("a", 1, false);
  pass(4 * kLease, {&owner, &other}, &tenure);
  EXPECT_TRUE(tenure.lost());
}

TEST_F(SeveralPools, AnOwnerThatReachesEnoughAgainGoesOn) {
  Node owner = node("a");
  take(owner);
  Tenure tenure(owner.views(), kPools, kNeeded);
  cut_off("a", 0);
  cut_off("a", 1);
  pass(3 * kLease, {&owner}, &tenure);
  EXPECT_TRUE(tenure.holds_back());
  cut_off("a", 0, false);
  pass(kLease, {&owner}, &tenure);
  EXPECT_FALSE(tenure.holds_back());
  EXPECT_FALSE(owner.pools[0]->lapsed());
  EXPECT_TRUE(owner.pools[1]->lapsed());
  EXPECT_FALSE(owner.pools[2]->lapsed());
  EXPECT_FALSE(tenure.lost());
}

TEST_F(SeveralPools, OnesThatCouldNotBeOpenedAreOutOfReach) {
  Node owner = node("a", 2);
  take(owner);
  Tenure tenure(owner.views(), kPools, kNeeded);
  pass(2 * kLease, {&owner}, &tenure);
  EXPECT_FALSE(tenure.holds_back());
  cut_off("a", 0);
  pass(2 * kLease, {&owner}, &tenure);
  EXPECT_TRUE(tenure.holds_back());
}

TEST_F(SeveralPools, AStandbyThatSeesTooFewOfThoseGivenTakesNone) {
  Node one = node("b", 1), two = node("c", 2);
  EXPECT_EQ(Standby(one.views(), kPools).look(), Standby::View::kUnknown);
  EXPECT_EQ(Standby(two.views(), kPools).look(), Standby::View::kFree);
}

// ---- Looking without waiting; who stands by ----

TEST_F(SeveralPools, ASlowHeadKeepsNobodyWaiting) {
  Node owner = node("a", 1), other = node("b", 1);
  take(owner);
  const auto decide = clusters[0]->decide;
  clusters[0]->decide = [](const MemoryOperation& operation) {
    const bool reads_head = operation.read != nullptr;
    return Journey{.there = reads_head ? milliseconds(150) : milliseconds(1)};
  };
  Pool& pool = *owner.pools[0];
  const Time begun = clusters[0]->now();
  pool.begin_look();
  pool.begin_look();
  EXPECT_EQ(clusters[0]->now(), begun);
  EXPECT_FALSE(pool.take_look());
  pass(milliseconds(100), {&owner});
  EXPECT_FALSE(pool.take_look());
  pass(milliseconds(60), {&owner});
  const auto seen = pool.take_look();
  ASSERT_TRUE(seen && *seen);
  EXPECT_EQ((*seen)->owner->identity, "a");
  EXPECT_FALSE(pool.take_look()) << "once";
  EXPECT_FALSE(pool.lapsed());
}

TEST_F(SeveralPools, WhetherSomebodyStandsByIsKnown) {
  Node owner = node("a", 1), asking = node("c", 1);
  take(owner);
  owner.pools[0]->watch_head(Pool::Role::kServes);
  EXPECT_EQ(asking.pools[0]->somebody_stands_by(), false) << "the owner itself does not";
  {
    Node other = node("b", 1);
    Standby standby(other.views(), 1);
    EXPECT_EQ(asking.pools[0]->somebody_stands_by(), true);
    owner.pools[0]->begin_roll_call();
    pass(milliseconds(10), {&owner});
    EXPECT_EQ(owner.pools[0]->take_roll_call(), true);
    other.pools[0]->watch_head(Pool::Role::kServes);
    EXPECT_EQ(asking.pools[0]->somebody_stands_by(), false) << "not any more";
  }
}

}  // namespace
}  // namespace holdfast::cluster
