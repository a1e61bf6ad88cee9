// An owner that reads: one that is not answered asks again; one whose log was taken meanwhile finds out.
#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "location/rados/memory_store.h"
#include "location/rados/pool.h"

namespace holdfast::location::rados {
namespace {

constexpr Duration kLease = std::chrono::milliseconds(400);

class PoolPatience : public testing::Test {
 protected:
  std::unique_ptr<Pool> make(const char* identity, Duration patience) {
    auto pool = std::make_unique<Pool>("rados:hf", "log", std::make_unique<MemoryStore>(cluster_),
                                       Self{identity, identity, 1, "", kLease, ""});
    pool->set_patience({.reads = patience, .over = {}, .tell = {}});
    return pool;
  }
  void prepare(Pool& pool) {
    ASSERT_TRUE(pool.lock(Duration{}));
    pool.prepare(1, SegmentNumber{1}, kBlock);
    std::array<Completion, 1> done;
    while (pool.poll(done) == 0) pool.wait();
  }
  // So many questions about segments stay without an answer.
  void lose_reads(unsigned count) {
    cluster_->decide = [left = count](const MemoryOperation& operation) mutable {
      Journey journey;
      journey.lost = operation.read != nullptr && operation.read->length > 0 && left > 0;
      if (journey.lost) --left;
      return journey;
    };
  }
  std::shared_ptr<MemoryCluster> cluster_ = std::make_shared<MemoryCluster>();
  std::array<std::byte, kBlock> block_{};
};

TEST_F(PoolPatience, AReadThatIsNotAnsweredIsAskedForAgain) {
  const auto pool = make("a", std::chrono::seconds(30));
  prepare(*pool);
  lose_reads(5);
  EXPECT_TRUE(pool->read(SegmentNumber{1}, 0, block_));
  lose_reads(1000);
  const auto read = pool->read(SegmentNumber{1}, 0, block_);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, Error::Kind::kTimeout);
}

TEST_F(PoolPatience, WhoHasLostTheLogIsToldWhenItAsks) {
  const auto first = make("a", Duration{});
  prepare(*first);
  EXPECT_TRUE(first->confirm_lock());
  const auto second = make("b", Duration{});
  ASSERT_TRUE(second->lock(4 * kLease));
  const auto held = first->confirm_lock();
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().kind, Error::Kind::kBusy);
  EXPECT_TRUE(first->fenced());
  EXPECT_TRUE(second->confirm_lock());
}

}  // namespace
}  // namespace holdfast::location::rados
