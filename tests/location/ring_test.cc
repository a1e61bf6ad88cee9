#include "location/ring.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

namespace holdfast::location {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Recorder : Ring::Handler {
  void on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t /*flags*/) override {
    tags.push_back(tag);
    results.push_back(result);
  }
  std::vector<std::uint64_t> tags;
  std::vector<std::int32_t> results;
};

class RingTest : public testing::Test {
 protected:
  void SetUp() override {
    ring = *Ring::create(4);
    user = ring->add(recorder);
    ASSERT_EQ(::pipe(pipe.data()), 0);
  }
  void TearDown() override {
    ring->remove(user);
    for (const int fd : pipe) ::close(fd);
  }
  void nop(std::uint64_t tag) {
    ring->queue(user, tag, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
  }

  Recorder recorder;
  std::unique_ptr<Ring> ring;
  Ring::User user = 0;
  std::array<int, 2> pipe{};
};

TEST_F(RingTest, TagsComeBackToTheirUser) {
  Recorder other;
  const Ring::User second = ring->add(other);
  nop(Ring::kMaxTag);
  ring->queue(second, 7, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
  while (ring->outstanding(user) + ring->outstanding(second) > 0) ring->wait(seconds(1));
  EXPECT_EQ(recorder.tags, std::vector<std::uint64_t>{Ring::kMaxTag});
  EXPECT_EQ(other.tags, std::vector<std::uint64_t>{7});
  ring->remove(second);
}

TEST_F(RingTest, NothingLeavesBeforeItIsSubmitted) {
  const std::byte x{1};
  ring->queue(user, 1, [&](io_uring_sqe* sqe) { io_uring_prep_write(sqe, pipe[1], &x, 1, 0); });
  pollfd readable{pipe[0], POLLIN, 0};
  EXPECT_EQ(::poll(&readable, 1, 0), 0);
  ring->submit();
  EXPECT_EQ(::poll(&readable, 1, 1000), 1);
  while (ring->outstanding(user) > 0) ring->wait(seconds(1));
}

TEST_F(RingTest, MoreOperationsThanEntriesAreSubmittedEarly) {
  for (std::uint64_t tag = 0; tag < 100; ++tag) nop(tag);
  while (ring->outstanding(user) > 0) ring->wait(seconds(1));
  EXPECT_EQ(recorder.tags.size(), 100U);
}

TEST_F(RingTest, WaitEndsWithTheTime) {
  EXPECT_EQ(ring->wait(milliseconds(1)), 0U);
  EXPECT_EQ(ring->wait(Duration::zero()), 0U);
  EXPECT_EQ(ring->wait(Duration(-1)), 0U);
}

TEST_F(RingTest, ErrorsComeBackAsNegativeNumbers) {
  ring->queue(user, 1, [](io_uring_sqe* sqe) { io_uring_prep_fsync(sqe, -1, 0); });
  while (ring->outstanding(user) > 0) ring->wait(seconds(1));
  EXPECT_EQ(recorder.results, std::vector<std::int32_t>{-EBADF});
}

TEST_F(RingTest, HandlerMayQueueMore) {
  struct Chain : Ring::Handler {
    void on_completion(std::uint64_t tag, std::int32_t, std::uint32_t) override {
      EXPECT_EQ(ring->wait(seconds(100)), 0U);  // does nothing in here
      if (tag > 0) ring->queue(user, tag - 1, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
    }
    Ring* ring = nullptr;
    Ring::User user = 0;
  } chain;
  chain.ring = ring.get();
  chain.user = ring->add(chain);
  ring->queue(chain.user, 49, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
  unsigned total = 0;
  while (ring->outstanding(chain.user) > 0) total += ring->wait(seconds(1));
  EXPECT_EQ(total, 50U);
  ring->remove(chain.user);
}

TEST_F(RingTest, MadeInOneThreadUsedInAnother) {
  auto made_here = *Ring::create(4);
  std::thread([&] {
    Recorder other;
    const Ring::User there = made_here->add(other);
    made_here->queue(there, 1, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
    while (made_here->outstanding(there) > 0) made_here->wait(seconds(1));
    made_here->remove(there);
  }).join();
}

TEST_F(RingTest, ReadinessIsLevelTriggered) {
  Readiness readable(*ring, pipe[0], POLLIN);
  readable.arm();
  EXPECT_EQ(ring->wait(milliseconds(1)), 0U);
  EXPECT_FALSE(readable.take());
  ASSERT_EQ(::write(pipe[1], "ab", 2), 2);
  for (int i = 0; i < 2; ++i) {  // one byte at a time, ready again while one is left
    readable.arm();
    EXPECT_EQ(ring->wait(seconds(1)), 1U);
    EXPECT_TRUE(readable.take());
    EXPECT_FALSE(readable.take());
    char byte = 0;
    ASSERT_EQ(::read(pipe[0], &byte, 1), 1);
  }
  readable.arm();
  EXPECT_EQ(ring->wait(milliseconds(1)), 0U);
  EXPECT_FALSE(readable.take());
}

TEST_F(RingTest, ArmedReadinessCanBeDestroyed) {
  {
    Readiness readable(*ring, pipe[0], POLLIN);
    readable.arm();
    ring->submit();
  }
  ASSERT_EQ(::write(pipe[1], "a", 1), 1);
  EXPECT_EQ(ring->wait(milliseconds(1)), 0U);
}

}  // namespace
}  // namespace holdfast::location
