// The bounded containers: LRU table, frame pool, token bucket, path MTU table.
#include <gtest/gtest.h>

#include <map>

#include "ip/frame_pool.h"
#include "ip/harness.h"
#include "ip/lru_table.h"
#include "ip/path_mtu.h"
#include "ip/token_bucket.h"

namespace holdfast::ip {
namespace {

using namespace testing;

TEST(LruTable, TheLeastRecentlyUsedEntryMakesRoom) {
  LruTable<int> table(3, 7);
  for (std::uint32_t i = 1; i <= 3; ++i) table.insert(Ipv4Address{i}).value = static_cast<int>(i);
  table.touch(*table.find(Ipv4Address{1}));
  table.insert(Ipv4Address{4});
  EXPECT_NE(table.find(Ipv4Address{1}), nullptr);
  EXPECT_EQ(table.find(Ipv4Address{2}), nullptr);
  EXPECT_EQ(table.size(), 3U);
}

TEST(LruTable, AgreesWithASimpleModel) {
  Random random(1);
  constexpr std::uint32_t kCapacity = 16;
  LruTable<std::uint64_t> table(kCapacity, 99);
  std::vector<std::pair<std::uint32_t, std::uint64_t>> model;  // least recently used first
  for (int round = 0; round < 20000; ++round) {
    const auto key = static_cast<std::uint32_t>(random.below(40));
    const auto in_model = std::find_if(model.begin(), model.end(), [&](auto& e) { return e.first == key; });
    auto* entry = table.find(Ipv4Address{key});
    ASSERT_EQ(entry != nullptr, in_model != model.end());
    switch (random.below(3)) {
      case 0:
        if (entry != nullptr) {
          ASSERT_EQ(entry->value, in_model->second);
          table.touch(*entry);
          std::rotate(in_model, in_model + 1, model.end());
        } else {
          const auto value = random.any<std::uint64_t>();
          table.insert(Ipv4Address{key}).value = value;
          if (model.size() == kCapacity) model.erase(model.begin());
          model.emplace_back(key, value);
        }
        break;
      case 1:
        if (entry != nullptr && random.below(4) == 0) {
          table.erase(*entry);
          model.erase(in_model);
        }
        break;
      default:
        break;
    }
    ASSERT_EQ(table.size(), model.size());
    auto expected = model.rbegin();
    table.for_each([&](auto& e) {
      ASSERT_EQ(e.key.value, expected->first);
      ++expected;
    });
    ASSERT_EQ(expected, model.rend());
  }
}

TEST(LruTable, ForEachAllowsErasing) {
  LruTable<int> table(8, 3);
  for (std::uint32_t i = 0; i < 8; ++i) table.insert(Ipv4Address{i});
  table.for_each([&](auto& e) {
    if (e.key.value % 2 == 0) table.erase(e);
  });
  EXPECT_EQ(table.size(), 4U);
  EXPECT_EQ(table.find(Ipv4Address{2}), nullptr);
  EXPECT_NE(table.find(Ipv4Address{3}), nullptr);
}

TEST(FramePool, GivesBackWhatItTook) {
  Random random(2);
  FramePool pool(40);
  Buffer scratch(FramePool::kMaxFrame);
  std::array<FrameQueue, 3> queues;
  std::array<std::deque<Buffer>, 3> model;
  for (int round = 0; round < 5000; ++round) {
    const std::size_t q = random.below(3);
    if (random.coin()) {
      const Buffer bytes = random.bytes(1 + random.below(random.below(10) == 0 ? 30000 : 2500));
      const std::size_t a = random.below(std::min<std::size_t>(bytes.size(), 94) + 1);
      const std::size_t b = a + random.below(bytes.size() - a + 1);
      wire::TxFrame frame;
      frame.head = Bytes(bytes).first(a);
      frame.payload = {Bytes(bytes).subspan(a, b - a), Bytes(bytes).subspan(b)};
      frame.gso_size = static_cast<std::uint16_t>(a);
      frame.needs_checksum = true;
      frame.checksum_start = 34;
      frame.checksum_offset = 16;
      const bool fits = (bytes.size() + FramePool::kBlock - 1) / FramePool::kBlock <= pool.free_blocks();
      ASSERT_EQ(pool.push(queues[q], frame), fits);
      if (fits) model[q].push_back(bytes);
    } else if (!model[q].empty()) {
      const wire::TxFrame frame = pool.pop(queues[q], scratch);
      ASSERT_EQ(exactly(frame.head) + frame.payload[0] + frame.payload[1], model[q].front());
      ASSERT_EQ(frame.gso_size, frame.head.size());
      ASSERT_EQ(frame.checksum_start, 34);
      ASSERT_EQ(frame.checksum_offset, 16);
      ASSERT_TRUE(frame.needs_checksum);
      model[q].pop_front();
    }
    ASSERT_EQ(queues[q].count, model[q].size());
  }
  for (auto& queue : queues) {
    while (!queue.empty()) pool.drop(queue);
  }
  EXPECT_EQ(pool.free_blocks(), 40U);
}

TEST(TokenBucket, LetsABurstThroughAndThenItsRate) {
  TokenBucket bucket(10, 5);
  Time now{100s};
  int taken = 0;
  for (int i = 0; i < 20; ++i) taken += bucket.take(now) ? 1 : 0;
  EXPECT_EQ(taken, 5);
  EXPECT_FALSE(bucket.take(now + 99ms));
  EXPECT_TRUE(bucket.take(now + 100ms));
  EXPECT_FALSE(bucket.take(now + 100ms));
  now += 1h;
  taken = 0;
  for (int i = 0; i < 20; ++i) taken += bucket.take(now) ? 1 : 0;
  EXPECT_EQ(taken, 5);
}

TEST(PathMtu, IsTheInterfacesUntilToldOtherwise) {
  PathMtu path(1);
  EXPECT_EQ(path.get(kFarAway, 1500, Time{0s}), 1500);
  path.lower(kFarAway, 1400, 1500, Time{0s});
  EXPECT_EQ(path.get(kFarAway, 1500, Time{0s}), 1400);
  EXPECT_EQ(path.get(kFarAway, 1300, Time{0s}), 1300);
  EXPECT_EQ(path.get(kPeer, 1500, Time{0s}), 1500);
}

TEST(PathMtu, IsNeverRaisedAndNeverBelowItsFloor) {
  PathMtu path(1);
  path.lower(kFarAway, 1000, 1500, Time{0s});
  path.lower(kFarAway, 1400, 1500, Time{1s});
  EXPECT_EQ(path.get(kFarAway, 1500, Time{1s}), 1000);
  path.lower(kFarAway, 68, 1500, Time{2s});
  EXPECT_EQ(path.get(kFarAway, 1500, Time{2s}), 552);
}

TEST(PathMtu, IsForgottenAfterTenMinutes) {
  PathMtu path(1);
  path.lower(kFarAway, 1000, 1500, Time{0s});
  EXPECT_EQ(path.get(kFarAway, 1500, Time{10min} - 1ns), 1000);
  EXPECT_EQ(path.get(kFarAway, 1500, Time{10min}), 1500);
  path.lower(kFarAway, 1400, 1500, Time{11min});
  EXPECT_EQ(path.get(kFarAway, 1500, Time{11min}), 1400);
}

// RFC 1191 section 5.
TEST(PathMtu, ARouterThatDoesNotTellMeansTheNextPlateau) {
  PathMtu path(1);
  path.lower(kFarAway, 0, 1500, Time{0s});
  EXPECT_EQ(path.get(kFarAway, 1500, Time{0s}), 1492);
  path.lower(kFarAway, 0, 1492, Time{0s});
  EXPECT_EQ(path.get(kFarAway, 1500, Time{0s}), 1006);
  path.lower(kFarAway, 0, 1006, Time{0s});
  EXPECT_EQ(path.get(kFarAway, 1500, Time{0s}), 552);
}

TEST(PathMtu, TheTableIsBounded) {
  PathMtu path(1);
  for (std::uint32_t i = 0; i < 1000; ++i) path.lower(Ipv4Address{0x01000000 + i}, 1000, 1500, Time{0s});
  EXPECT_EQ(path.size(), PathMtu::kEntries);
  EXPECT_EQ(path.get(Ipv4Address{0x01000000 + 999}, 1500, Time{0s}), 1000);
  EXPECT_EQ(path.get(Ipv4Address{0x01000000}, 1500, Time{0s}), 1500);
}

}  // namespace
}  // namespace holdfast::ip
