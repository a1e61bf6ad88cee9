#include "location/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace holdfast::location {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr SegmentNumber kOne{1}, kTwo{2};
constexpr std::uint64_t kSize = 64 * kBlock;

struct alignas(kBlock) Block {
  explicit Block(char fill) { std::memset(bytes.data(), fill, bytes.size()); }
  std::array<std::byte, 2 * kBlock> bytes;
};

class MemoryTest : public testing::Test {
 protected:
  // A process that holds the disk with segment 1 prepared; its further operations wait for the test.
  std::unique_ptr<Memory> start() {
    auto process = std::make_unique<Memory>(disk);
    EXPECT_TRUE(process->lock(seconds(1)));
    if (disk->segments().empty()) {
      disk->faults.automatic = true;
      process->prepare(100, kOne, kSize);
      EXPECT_THAT(completions(*process), ElementsAre(100));
    }
    disk->faults.automatic = false;
    return process;
  }

  // Tokens of what finished; failed ones negative.
  static std::vector<int> completions(Memory& process) {
    std::array<Completion, 16> out;
    const std::size_t count = process.poll(out);
    std::vector<int> tokens;
    for (std::size_t i = 0; i < count; ++i) {
      tokens.push_back(out[i].error ? -static_cast<int>(out[i].token) : static_cast<int>(out[i].token));
    }
    return tokens;
  }

  char at(std::uint64_t offset, SegmentNumber segment = kOne) const {
    std::byte value{};
    EXPECT_TRUE(disk->read(segment, offset, MutableBytes(&value, 1)));
    return static_cast<char>(value);
  }

  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>("mem/a");
  Block a{'a'}, b{'b'}, c{'c'};
};

Fate fate(Fate::Kind kind) { return Fate{kind, {}}; }

TEST_F(MemoryTest, PreparedSegmentReadsAsZeros) {
  const auto process = start();
  std::vector<std::byte> content(kSize, std::byte{1});
  ASSERT_TRUE(process->read(kOne, 0, content));
  EXPECT_EQ(content, std::vector<std::byte>(kSize));
  const auto infos = process->segments();
  ASSERT_TRUE(infos);
  ASSERT_EQ(infos->size(), 1U);
  EXPECT_EQ((*infos)[0].size, kSize);
}

TEST_F(MemoryTest, WritesCompleteInTheOrderThatTheControllerChooses) {
  const auto process = start();
  process->write(1, kOne, 0, a.bytes);
  process->write(2, kOne, 2 * kBlock, b.bytes);
  EXPECT_THAT(completions(*process), ElementsAre());
  EXPECT_EQ(process->in_flight(), 2U);
  disk->complete(1);
  EXPECT_EQ(at(0), 0);
  EXPECT_EQ(at(2 * kBlock), 'b');
  EXPECT_THAT(completions(*process), ElementsAre(2));
  disk->complete_all();
  EXPECT_THAT(completions(*process), ElementsAre(1));
  EXPECT_EQ(process->in_flight(), 0U);
  EXPECT_EQ(at(0), 'a');
}

TEST_F(MemoryTest, CrashGivesEachWriteItsOwnFate) {
  auto process = start();
  process->write(1, kOne, 0, a.bytes);
  process->write(2, kOne, 2 * kBlock, b.bytes);
  process->write(3, kOne, 4 * kBlock, c.bytes);
  disk->crash([](const PendingOperation& operation) {
    if (operation.token == 1) return fate(Fate::Kind::kDone);
    if (operation.token == 2) return fate(Fate::Kind::kNotDone);
    return Fate{Fate::Kind::kTorn, Tear{.first = 3, .last = 5}};
  });
  EXPECT_EQ(at(0), 'a');
  EXPECT_EQ(at(2 * kBlock), 0);
  EXPECT_EQ(at(4 * kBlock + 3 * kSector - 1), 0);
  EXPECT_EQ(at(4 * kBlock + 3 * kSector), 'c');
  EXPECT_EQ(at(4 * kBlock + 5 * kSector - 1), 'c');
  EXPECT_EQ(at(4 * kBlock + 5 * kSector), 0);
}

TEST_F(MemoryTest, TearCanLeaveOutTheMiddleOrScatter) {
  const Tear inverted{.first = 1, .last = 3, .inverted = true};
  EXPECT_TRUE(inverted.stores(0));
  EXPECT_FALSE(inverted.stores(1));
  EXPECT_TRUE(inverted.stores(3));
  unsigned stored = 0;
  const Tear scattered{.scatter = 12345};
  for (std::uint32_t sector = 0; sector < 1000; ++sector) stored += scattered.stores(sector) ? 1 : 0;
  EXPECT_GT(stored, 400U);
  EXPECT_LT(stored, 600U);
}

TEST_F(MemoryTest, DeadProcessAnswersEverythingWithErrors) {
  auto process = start();
  disk->crash([](const PendingOperation&) { return Fate{}; });
  std::array<std::byte, 8> eight;
  EXPECT_EQ(process->read(kOne, 0, eight).error().kind, Error::Kind::kUnavailable);
  EXPECT_FALSE(process->lock(seconds(1)));
  EXPECT_FALSE(process->segments());
  EXPECT_FALSE(process->write_blob("x", eight));
  process->write(7, kOne, 0, a.bytes);
  EXPECT_THAT(completions(*process), ElementsAre(-7));
  EXPECT_EQ(at(0), 0);
}

TEST_F(MemoryTest, LateWriteHoldsTheLockUntilItHasLanded) {
  auto first = start();
  first->write(1, kOne, 0, a.bytes);
  disk->crash([](const PendingOperation&) { return fate(Fate::Kind::kLate); });
  first.reset();
  EXPECT_EQ(at(0), 0);
  ASSERT_EQ(disk->late().size(), 1U);

  Duration passed{};
  disk->faults.pass_time = [&](Duration) {
    passed += seconds(1);
    if (passed == seconds(3)) disk->land_late(0);
    return Duration(seconds(1));
  };
  Memory second(disk);
  const auto early = second.lock(seconds(2));
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().kind, Error::Kind::kUnavailable);
  EXPECT_THAT(early.error().message, HasSubstr("mem/a"));
  EXPECT_TRUE(second.lock(seconds(2)));
  EXPECT_EQ(passed, seconds(3));
  EXPECT_EQ(at(0), 'a');
}

TEST_F(MemoryTest, ProcessThatExitsLeavesItsWritesBehindAsLate) {
  auto first = start();
  first->write(1, kOne, 0, a.bytes);
  first.reset();
  ASSERT_EQ(disk->late().size(), 1U);
  Memory second(disk);
  EXPECT_TRUE(second.lock(seconds(1)));
  EXPECT_EQ(at(0), 'a');
}

TEST_F(MemoryTest, LivingHolderKeepsOthersOut) {
  const auto first = start();
  Memory second(disk);
  EXPECT_EQ(second.lock(seconds(1)).error().kind, Error::Kind::kBusy);
  std::array<std::byte, 8> eight;
  EXPECT_TRUE(second.read(kOne, 0, eight));  // readers need no lock
}

TEST_F(MemoryTest, PowerLossEndsLateWritesToo) {
  auto first = start();
  first->write(1, kOne, 0, a.bytes);
  disk->crash([](const PendingOperation&) { return fate(Fate::Kind::kLate); });
  std::vector<Token> asked;
  disk->power_loss([&](const PendingOperation& operation) {
    asked.push_back(operation.token);
    return fate(Fate::Kind::kLate);
  });
  EXPECT_THAT(asked, ElementsAre(1));
  EXPECT_TRUE(disk->late().empty());
  EXPECT_EQ(at(0), 0);
}

TEST_F(MemoryTest, FailedWriteIsNeverReportedAsDone) {
  const auto process = start();
  process->write(1, kOne, 0, a.bytes);
  process->write(2, kOne, 0, b.bytes);
  process->write(3, kOne, 0, c.bytes);
  disk->complete(0, {.kind = Ending::Kind::kError});
  EXPECT_EQ(at(0), 0);
  disk->complete(0, {.kind = Ending::Kind::kErrorStored});
  EXPECT_EQ(at(0), 'b');
  disk->faults.failing = true;
  disk->complete(0);
  EXPECT_EQ(at(0), 'b');
  EXPECT_THAT(completions(*process), ElementsAre(-1, -2, -3));
}

TEST_F(MemoryTest, LyingDeviceSaysDoneForWhatItDroppedOrMisdirected) {
  const auto process = start();
  process->write(1, kOne, 0, a.bytes);
  process->write(2, kOne, 0, b.bytes);
  disk->complete(0, {.kind = Ending::Kind::kDropped});
  disk->complete(0, {.kind = Ending::Kind::kMisdirected, .segment = kOne, .offset = 8 * kBlock});
  EXPECT_THAT(completions(*process), ElementsAre(1, 2));
  EXPECT_EQ(at(0), 0);
  EXPECT_EQ(at(8 * kBlock), 'b');
}

TEST_F(MemoryTest, FullDiskPreparesNothing) {
  const auto process = start();
  disk->faults.capacity = 2 * kSize;
  disk->faults.automatic = true;
  process->prepare(1, kTwo, 2 * kSize);
  process->prepare(2, SegmentNumber{3}, kSize);
  disk->faults.full = false;
  std::array<Completion, 4> out;
  ASSERT_EQ(process->poll(out), 2U);
  ASSERT_TRUE(out[0].error);
  EXPECT_EQ(out[0].error->kind, Error::Kind::kFull);
  EXPECT_FALSE(out[1].error);
  EXPECT_EQ(disk->segments().size(), 2U);
}

TEST_F(MemoryTest, RecycledSegmentKeepsItsContent) {
  const auto process = start();
  process->write(1, kOne, 0, a.bytes);
  process->recycle(2, kOne, kTwo);
  disk->complete_all();
  EXPECT_EQ(at(0, kTwo), 'a');
  process->remove(3, kTwo);
  process->remove(4, kTwo);
  disk->complete_all();
  EXPECT_THAT(completions(*process), ElementsAre(1, 2, 3, -4));
  EXPECT_TRUE(disk->segments().empty());
}

TEST_F(MemoryTest, RotChangesWhatIsRead) {
  const auto process = start();
  disk->flip(kOne, 5000, std::byte{0x81});
  EXPECT_EQ(at(5000), static_cast<char>(0x81));
  disk->overwrite(kOne, kSize - kBlock, a.bytes);  // cut off at the end
  EXPECT_EQ(at(kSize - 1), 'a');
  disk->zero(kOne, kSize - 10, 100);
  EXPECT_EQ(at(kSize - 10), 0);
  EXPECT_EQ(at(kSize - 11), 'a');
  disk->make_unreadable(kOne, 8192, 512);
  std::array<std::byte, 100> some;
  EXPECT_FALSE(process->read(kOne, 8192 - 50, some));
  EXPECT_TRUE(process->read(kOne, 8192 - 100, some));
  disk->truncate(kOne, 8192);
  EXPECT_EQ(process->read(kOne, 8192 - 50, some).error().kind, Error::Kind::kIo);
}

TEST_F(MemoryTest, WritingUnreadableBlocksHealsThem) {
  const auto process = start();
  disk->make_unreadable(kOne, 512, 512);
  process->write(1, kOne, 0, a.bytes);
  disk->complete_all();
  std::array<std::byte, 1024> some;
  EXPECT_TRUE(process->read(kOne, 0, some));
}

TEST_F(MemoryTest, ProcessCanDieBeforeOrAfterABlobIsReplaced) {
  const Bytes one = Bytes(a.bytes).first(3), two = Bytes(b.bytes).first(4);
  auto process = start();
  ASSERT_TRUE(process->write_blob("head", one));
  disk->faults.before_blob = [](const std::string&) { return MemoryFaults::Step::kDieBefore; };
  EXPECT_FALSE(process->write_blob("head", two));
  EXPECT_TRUE(process->dead());
  EXPECT_EQ(disk->blobs().at("head").size(), 3U);
  process = start();
  disk->faults.before_blob = [](const std::string&) { return MemoryFaults::Step::kDieAfter; };
  EXPECT_FALSE(process->write_blob("head", two));
  EXPECT_EQ(disk->blobs().at("head").size(), 4U);
  process = start();
  disk->faults.before_blob = nullptr;
  const auto read = process->read_blob("head");
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->size(), 4U);
  ASSERT_TRUE(process->remove_blob("head"));
  EXPECT_THAT(*process->blobs(), ElementsAre());
  EXPECT_FALSE(*process->read_blob("head"));
}

TEST_F(MemoryTest, WaitLetsSimulatedTimePass) {
  const auto process = start();
  process->write(1, kOne, 0, a.bytes);
  disk->faults.pass_time = [&](Duration) {
    disk->complete(0);
    return Duration(seconds(1));
  };
  process->wait();
  EXPECT_THAT(completions(*process), ElementsAre(1));
}

using MemoryDeathTest = MemoryTest;

TEST_F(MemoryDeathTest, BufferThatChangesInFlightEndsTheTest) {
  const auto process = start();
  process->write(1, kOne, 0, a.bytes);
  a.bytes[17] = std::byte{0};
  EXPECT_DEATH(disk->complete_all(), "invariant broken");
}

TEST_F(MemoryDeathTest, WritingWithoutTheLockEndsTheTest) {
  Memory process(disk);
  EXPECT_DEATH(process.write(1, kOne, 0, a.bytes), "invariant broken");
}

}  // namespace
}  // namespace holdfast::location
