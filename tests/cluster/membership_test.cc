#include "cluster/membership.h"

#include <gtest/gtest.h>

#include "location/rados/head.h"
#include "location/rados/memory_store.h"

namespace holdfast::cluster {
namespace {

using namespace std::chrono_literals;
using location::rados::MemoryCluster;
using location::rados::MemoryStore;

constexpr Duration kLease = 1s;

class MembershipTest : public ::testing::Test {
 protected:
  struct Node {
    MemoryStore* store = nullptr;
    std::unique_ptr<Membership> membership;
    Member own;
  };

  Node& add(const std::string& identity) {
    auto store = std::make_unique<MemoryStore>(cluster_, location::rados::MemoryClock{},
                                               [this](Time until) { cluster_->step(until); });
    Node& node = nodes_[identity];
    node.store = store.get();
    node.own.mac = wire::MacAddress{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(nodes_.size())}};
    node.membership = std::make_unique<Membership>("store", identity, std::move(store), kLease);
    return node;
  }

  Result<Buckets> open(Node& node, std::uint32_t count, std::byte key = std::byte{1}) {
    Buckets proposed{.count = count, .key = {}};
    proposed.key.key.fill(key);
    auto opened = node.membership->open(proposed);
    if (opened) node.membership->say(node.own);
    return opened;
  }

  void run(Duration time) {
    const Time until = cluster_->now() + time;
    while (cluster_->now() < until) {
      Time next = until;
      for (auto& [identity, node] : nodes_) {
        node.membership->turn();
        next = std::min(next, node.membership->deadline());
      }
      cluster_->step(std::max(next, cluster_->now() + 1us));
    }
  }

  std::shared_ptr<MemoryCluster> cluster_ = std::make_shared<MemoryCluster>();
  std::map<std::string, Node> nodes_;
};

TEST_F(MembershipTest, TheFirstSettlesBucketsAndKey) {
  Node &a = add("aa"), &b = add("bb"), &c = add("cc");
  const auto first = open(a, 12), second = open(b, 12, std::byte{2});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->count, 12U);
  EXPECT_EQ(*first, *second);
  const auto third = open(c, 16);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().kind, Error::Kind::kUsage);
  nodes_.erase("cc");
}

TEST_F(MembershipTest, TheySeeEachOtherAndWhatTheyHave) {
  Node &a = add("aa"), &b = add("bb");
  ASSERT_TRUE(open(a, 4) && open(b, 4));
  run(1s);
  EXPECT_TRUE(a.membership->settled());
  EXPECT_TRUE(a.membership->sees());
  EXPECT_TRUE(a.membership->lives("bb"));
  EXPECT_EQ(a.membership->others().at("bb").mac, b.own.mac);
  b.own.serving[3] = 7;
  b.membership->say(b.own);
  run(10ms);  // long before the next look: it was told
  EXPECT_EQ(a.membership->others().at("bb").serving.at(3), 7U);
}

TEST_F(MembershipTest, AProcessAfterAnotherKnowsWhatThatHad) {
  Node& before = add("aa");
  ASSERT_TRUE(open(before, 4));
  EXPECT_TRUE(before.membership->had().empty());
  before.own.serving[2] = 9;
  before.membership->say(before.own);
  run(100ms);
  nodes_.erase("aa");
  Node& after = add("aa");
  ASSERT_TRUE(open(after, 4));
  EXPECT_EQ(after.membership->had(), (std::map<Bucket, std::uint64_t>{{2, 9}}));
}

TEST_F(MembershipTest, WhoDiesIsMissedAndInTheEndStruckOff) {
  Node &a = add("aa"), &b = add("bb");
  ASSERT_TRUE(open(a, 4) && open(b, 4));
  run(2s);
  ASSERT_TRUE(a.membership->lives("bb"));
  nodes_.erase("bb");
  run(900ms);
  EXPECT_FALSE(a.membership->lives("bb"));
  EXPECT_TRUE(a.membership->others().contains("bb"));
  run(15s);
  EXPECT_FALSE(a.membership->others().contains("bb"));
}

TEST_F(MembershipTest, WhoLeavesIsGoneAtOnce) {
  Node &a = add("aa"), &b = add("bb");
  ASSERT_TRUE(open(a, 4) && open(b, 4));
  run(1s);
  b.membership->leave();
  nodes_.erase("bb");
  run(10ms);
  EXPECT_FALSE(a.membership->others().contains("bb"));
}

TEST_F(MembershipTest, ALogIsAskedForUnderItsEpochOnly) {
  Node& a = add("aa");
  ASSERT_TRUE(open(a, 4));
  auto& head = cluster_->objects[location::rados::head_object("store.b002")];
  head.attributes[location::rados::kAttributeEpoch] = location::rados::encode_epoch(5);
  a.membership->ask_for("store.b002", 4);
  run(10ms);
  EXPECT_FALSE(head.attributes.contains(location::rados::kAttributeHandover));
  a.membership->ask_for("store.b002", 5);
  run(10ms);
  EXPECT_EQ(head.attributes.at(location::rados::kAttributeHandover), location::rados::encode_epoch(5));
}

TEST_F(MembershipTest, WithoutAnswersNothingIsSeen) {
  Node& a = add("aa");
  ASSERT_TRUE(open(a, 4));
  run(1s);
  cluster_->decide = [](const auto&) { return location::rados::Journey{.lost = true}; };
  run(7s);
  EXPECT_FALSE(a.membership->sees());
  EXPECT_FALSE(a.membership->problem().empty());
  cluster_->decide = nullptr;
  run(6s);
  EXPECT_TRUE(a.membership->sees());
}

}  // namespace
}  // namespace holdfast::cluster
