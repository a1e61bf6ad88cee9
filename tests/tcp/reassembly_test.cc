#include "tcp/reassembly.h"

#include <gtest/gtest.h>

#include <random>

#include "endpoint.h"

namespace holdfast::tcp::test {
namespace {

TEST(ReassemblyTest, ComesOutAsItWentInWhateverTheOrderAndOverlap) {
  const ByteVector all = pattern(200'000);
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    Reassembly queue(1 << 20);
    const std::uint64_t origin = random() % 1'000'000;
    std::uint64_t next = 0;
    std::vector<bool> held(all.size());
    while (next < all.size()) {
      const std::uint64_t at = next + 1 + random() % 60'000;
      const std::size_t n = 1 + random() % 40'000;
      if (at + n <= all.size()) {
        const auto dup =
            queue.insert(StreamOffset{origin + next}, StreamOffset{origin + at}, Bytes(all).subspan(at, n));
        const auto first = std::find(held.begin() + static_cast<std::ptrdiff_t>(at),
                                     held.begin() + static_cast<std::ptrdiff_t>(at + n), true);
        if (first != held.begin() + static_cast<std::ptrdiff_t>(at + n)) {
          ASSERT_TRUE(dup);
          ASSERT_EQ(dup->begin.value - origin, static_cast<std::uint64_t>(first - held.begin()));
        } else {
          ASSERT_FALSE(dup);
        }
        std::fill_n(held.begin() + static_cast<std::ptrdiff_t>(at), n, true);
      }
      if (random() % 3 == 0) {  // the gap is filled, a little beyond it too
        next += 1 + random() % 30'000;
        next = std::min(next, std::uint64_t{all.size()});
        for (;;) {
          const Bytes front = queue.front(StreamOffset{origin + next});
          if (front.empty()) break;
          ASSERT_TRUE(std::ranges::equal(front, Bytes(all).subspan(next, front.size())));
          next += front.size();
        }
        queue.drop_below(StreamOffset{origin + next});
        ASSERT_TRUE(next >= all.size() || !held[next]);
      }
    }
    queue.drop_below(StreamOffset{origin + all.size()});
    EXPECT_TRUE(queue.empty());
  }
}

TEST(ReassemblyTest, FirstCopyOfAByteWins) {
  Reassembly queue(1 << 20);
  const ByteVector good(100, std::byte{1}), evil(300, std::byte{2});
  queue.insert(StreamOffset{0}, StreamOffset{100}, good);
  queue.insert(StreamOffset{0}, StreamOffset{50}, evil);
  const Bytes front = queue.front(StreamOffset{100});
  EXPECT_TRUE(std::ranges::equal(front.first(100), good));
  EXPECT_EQ(front.size(), 250U);
}

TEST(ReassemblyTest, HoldsNothingBeyondItsLimit) {
  Reassembly queue(1000);
  queue.insert(StreamOffset{0}, StreamOffset{900}, pattern(500));
  queue.insert(StreamOffset{0}, StreamOffset{1000}, pattern(10));
  EXPECT_EQ(queue.begin()->end.value, 1000U);
  EXPECT_EQ(queue.end() - queue.begin(), 1);
}

TEST(ReassemblyTest, RangesAreBounded) {
  Reassembly queue(1 << 20);
  for (std::uint64_t at = 1; at < 10'000; at += 2) queue.insert(StreamOffset{0}, StreamOffset{at}, pattern(1));
  EXPECT_LE(queue.end() - queue.begin(), static_cast<std::ptrdiff_t>(Reassembly::kMaxRanges));
  queue.insert(StreamOffset{0}, StreamOffset{2}, pattern(1));
  EXPECT_EQ(queue.begin()->end.value, 4U) << "what joins is still taken";
}

}  // namespace
}  // namespace holdfast::tcp::test
