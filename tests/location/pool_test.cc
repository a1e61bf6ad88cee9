// A pool over objects in memory (memory_store.h), step by step; what its owners do to each other over time is for
// pool_simulation_test.cc.
#include "location/rados/pool.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "location/rados/memory_store.h"
#include "location/rados/pool_reader.h"

namespace holdfast::location::rados {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr SegmentNumber kOne{1}, kTwo{2}, kThree{3};
constexpr std::uint64_t kSize = 8 * kBlock;
constexpr Duration kLease = milliseconds(800);

struct alignas(kBlock) Block {
  explicit Block(char fill) { std::memset(bytes.data(), fill, bytes.size()); }
  std::array<std::byte, kBlock> bytes;
};

class PoolTest : public testing::Test {
 protected:
  std::unique_ptr<MemoryStore> connect(MemoryStore::PassTime pass_time = {}) {
    auto store = std::make_unique<MemoryStore>(cluster, MemoryClock{}, std::move(pass_time));
    last_client = store->client();
    return store;
  }
  std::unique_ptr<Pool> pool(const std::string& identity, MemoryStore::PassTime pass_time = {}) {
    Self self{identity, "host-" + identity, 7, "", kLease, ""};
    return std::make_unique<Pool>("rados:hf", "log", connect(std::move(pass_time)), self);
  }
  // That of a node that holds the log; segment 1 is there.
  std::unique_ptr<Pool> start(const std::string& identity = "a") {
    auto owner = pool(identity);
    const auto locked = owner->lock(seconds(10));
    EXPECT_TRUE(locked) << locked.error().message;
    if (owner->head().segments.empty()) {
      owner->prepare(1, kOne, kSize);
      EXPECT_THAT(finish(*owner), ElementsAre("1"));
    }
    return owner;
  }
  std::unique_ptr<Location> reader() { return read_pool("rados:hf", "log", connect()); }

  // Everything ends: tokens, with the error's message.
  // What nobody waits for ends too.
  void settle(Location& location) {
    for (int i = 0; i < 100; ++i) {
      location.wait();
      finish(location);
    }
  }

  void write_up_to(Pool& owner, std::uint64_t last);
  // What nobody waits for ends too.
  void settle_writes(Pool& owner) {
    for (int i = 0; i < 1000 && !owner.idle(); ++i) {
      owner.wait();
      finish(owner);
    }
    EXPECT_TRUE(owner.idle());
  }
  // As the head has them: at rest, awake, or anything else.
  std::string states(Pool& owner) {
    std::string text;
    const auto head = owner.look();
    EXPECT_TRUE(head);
    for (const auto& [number, entry] : head->segments) {
      text += fmt::format("{}{} ", number, entry.state == SegmentState::kAtRest ? 'r' : entry.in_use() ? 'a' : '?');
    }
    return text;
  }

  std::vector<std::string> finish(Location& location) {
    std::vector<std::string> ended;
    for (int i = 0; i < 100'000 && location.in_flight() > 0; ++i) {
      poll(location, ended);
      if (location.in_flight() > 0) location.wait();
    }
    EXPECT_EQ(location.in_flight(), 0U);
    return ended;
  }
  static void poll(Location& location, std::vector<std::string>& ended) {
    std::array<Completion, 8> out;
    const std::size_t count = location.poll(out);
    for (const Completion& completion : std::span(out).first(count)) {
      ended.push_back(std::to_string(completion.token) + (completion.error ? ": " + completion.error->message : ""));
    }
  }
  // Time goes on, in which `owner` renews.
  void pass(Duration time, Pool* owner = nullptr) {
    std::vector<std::string> ended;
    for (const Time end = cluster->now() + time; cluster->now() < end;) {
      cluster->step(std::min(end, cluster->now() + milliseconds(1)));
      if (owner != nullptr) poll(*owner, ended);
    }
    EXPECT_THAT(ended, IsEmpty());
  }
  static std::string numbers(Location& location) {
    std::string text;
    const auto segments = location.segments();
    if (!segments) return segments.error().message;
    for (const SegmentInfo& segment : *segments) text += std::to_string(segment.number.value) + " ";
    return text;
  }
  static char at(Location& location, SegmentNumber segment, std::uint64_t offset) {
    std::byte value{};
    const auto read = location.read(segment, offset, MutableBytes(&value, 1));
    EXPECT_TRUE(read) << read.error().message;
    return static_cast<char>(value);
  }
  // Those for which it holds take the journey.
  void divert(std::function<bool(const MemoryOperation&)> which, Journey journey) {
    cluster->decide = [which = std::move(which), journey](const MemoryOperation& operation) {
      return which(operation) ? journey : Journey{};
    };
  }
  static bool is_data(const MemoryOperation& operation) {
    return operation.write != nullptr && !operation.write->data.empty();
  }
  static bool is_renewal(const MemoryOperation& operation) {
    return operation.write != nullptr && operation.write->attributes.size() == 1 &&
           operation.write->attributes[0].first == kAttributeOwner;
  }

  std::shared_ptr<MemoryCluster> cluster = std::make_shared<MemoryCluster>();
  std::uint64_t last_client = 0;
  Block a{'a'}, b{'b'}, c{'c'};
};

// ---- Segments and blobs ----

TEST_F(PoolTest, WhatIsWrittenIsReadBackByTheNextOwner) {
  auto owner = start();
  owner->write(2, kOne, 0, a.bytes);
  owner->write(3, kOne, kBlock, b.bytes);
  EXPECT_THAT(finish(*owner), testing::UnorderedElementsAre("2", "3"));
  EXPECT_TRUE(owner->write_blob("identity", a.bytes));
  owner->replace_blob(4, "progress", b.bytes);
  EXPECT_THAT(finish(*owner), ElementsAre("4"));
  owner.reset();

  const auto next = start("b");
  EXPECT_EQ(next->head().epoch, 2U);
  EXPECT_EQ(numbers(*next), "1 ");
  EXPECT_EQ((*next->segments())[0].size, kSize);
  EXPECT_EQ(at(*next, kOne, 0), 'a');
  EXPECT_EQ(at(*next, kOne, kBlock), 'b');
  EXPECT_EQ(at(*next, kOne, 2 * kBlock), 0);
  EXPECT_THAT(*next->blobs(), ElementsAre("identity", "progress"));
  EXPECT_EQ((*next->read_blob("progress"))->at(0), std::byte{'b'});
  EXPECT_EQ(*next->read_blob("none"), std::nullopt);
  EXPECT_TRUE(next->remove_blob("identity"));
  EXPECT_THAT(*next->blobs(), ElementsAre("progress"));
}

TEST_F(PoolTest, ReadingBeyondTheEndIsAnError) {
  const auto owner = start();
  std::vector<std::byte> bytes(2 * kBlock);
  EXPECT_FALSE(owner->read(kOne, kSize - kBlock, bytes));
  EXPECT_FALSE(owner->read(kTwo, 0, bytes));
}

TEST_F(PoolTest, RecyclingMakesANewSegmentAndRemovesTheOld) {
  const auto owner = start();
  owner->write(2, kOne, 0, a.bytes);
  finish(*owner);
  owner->recycle(3, kOne, kTwo);
  EXPECT_THAT(finish(*owner), ElementsAre("3"));
  EXPECT_EQ(numbers(*owner), "2 ");
  EXPECT_EQ(at(*owner, kTwo, 0), 0);
  settle(*owner);  // the old one goes in the background
  EXPECT_FALSE(cluster->objects.contains(segment_object("log", kOne)));
  owner->remove(4, kTwo);
  EXPECT_THAT(finish(*owner), ElementsAre("4"));
  EXPECT_EQ(numbers(*owner), "");
  EXPECT_EQ(cluster->objects.size(), 1U);  // the head
  EXPECT_THAT(cluster->objects.at("log.head").entries, IsEmpty());
}

TEST_F(PoolTest, IsNotGivenBackWhileALeftoverIsBeingRemoved) {
  const auto owner = start();
  owner->recycle(3, kOne, kTwo);
  EXPECT_THAT(finish(*owner), ElementsAre("3"));
  EXPECT_FALSE(owner->idle());
  const auto refused = owner->release(seconds(5));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::kBusy);
  settle(*owner);
  EXPECT_TRUE(owner->idle());
  EXPECT_TRUE(owner->release(seconds(5)));
}

TEST_F(PoolTest, ASegmentThatIsThereIsNotMadeAgain) {
  const auto owner = start();
  owner->write(2, kOne, 0, a.bytes);
  owner->prepare(3, kTwo, kSize);
  finish(*owner);
  owner->prepare(4, kOne, kSize);
  EXPECT_THAT(finish(*owner), ElementsAre("4: rados:hf: cannot make segment 1: it is there"));
  owner->recycle(5, kTwo, kOne);
  EXPECT_THAT(finish(*owner), ElementsAre("5: rados:hf: cannot make segment 1: it is there"));
  owner->recycle(6, kThree, kOne);
  EXPECT_THAT(finish(*owner), ElementsAre("6: rados:hf: no segment 3"));
  EXPECT_EQ(numbers(*owner), "1 2 ");
  EXPECT_EQ(at(*owner, kOne, 0), 'a');
}

TEST_F(PoolTest, AnObjectLeftByAnEarlierAttemptIsTakenOverEmpty) {
  const auto owner = start();
  auto& left = cluster->objects[segment_object("log", kTwo)];
  left.data.assign(3 * kBlock, std::byte{'x'});
  owner->prepare(2, kTwo, kSize);
  EXPECT_THAT(finish(*owner), ElementsAre("2"));
  EXPECT_EQ(at(*owner, kTwo, 0), 0);
  owner->write(3, kTwo, 0, a.bytes);
  EXPECT_THAT(finish(*owner), ElementsAre("3"));
}

TEST_F(PoolTest, NoRoomForASegmentIsToldAndForAWriteWaitedFor) {
  const auto owner = start();
  cluster->full = true;
  owner->prepare(2, kTwo, kSize);
  const auto ended = finish(*owner);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_THAT(ended[0], HasSubstr("is full: make room"));
  EXPECT_EQ(numbers(*owner), "1 ");
  owner->write(3, kOne, 0, a.bytes);
  pass(seconds(1), owner.get());
  EXPECT_TRUE(owner->full());
  cluster->full = false;
  EXPECT_THAT(finish(*owner), ElementsAre("3"));
  EXPECT_FALSE(owner->full());
  owner->prepare(4, kTwo, kSize);
  EXPECT_THAT(finish(*owner), ElementsAre("4"));
}

// The room may run out at each step of a making.
TEST_F(PoolTest, NothingIsLeftOfASegmentForWhichThereIsNoRoom) {
  const auto is_step = [](const MemoryOperation& operation, int step) {
    if (operation.write == nullptr) return false;
    const bool of_head = operation.write->object == "log.head";
    const auto& entries = operation.write->entries;
    if (step == 1) return of_head && !entries.empty() && entries[0].first == making_entry(kTwo);
    return !of_head && operation.write->size.has_value();
  };
  for (const bool leftover : {false, true}) {
    for (int step = 0; step <= 2; ++step) {
      SCOPED_TRACE(testing::Message() << "after step " << step << ", an object is there: " << leftover);
      auto owner = start();
      if (leftover) cluster->objects[segment_object("log", kTwo)].data.assign(3 * kBlock, std::byte{'x'});
      cluster->full = step == 0;
      cluster->executed = [&](const MemoryOperation& operation, Outcome outcome) {
        if (step > 0 && outcome == Outcome::kDone && is_step(operation, step)) cluster->full = true;
      };
      owner->prepare(2, kTwo, kSize);
      EXPECT_THAT(finish(*owner), ElementsAre(HasSubstr("is full: make room")));
      EXPECT_EQ(cluster->objects.at("log.head").entries.size(), 1U);
      EXPECT_FALSE(cluster->objects.contains(segment_object("log", kTwo)));
      EXPECT_TRUE(owner->idle());
      EXPECT_FALSE(owner->full() || owner->unsettled());
      cluster->executed = {};
      cluster->full = false;
      owner->prepare(3, kTwo, kSize);
      EXPECT_THAT(finish(*owner), ElementsAre("3"));
      owner.reset();
      cluster->objects.clear();
    }
  }
}

TEST_F(PoolTest, ASegmentWhoseObjectVanishedIsNotListed) {
  auto owner = start();
  owner->prepare(2, kTwo, kSize);
  finish(*owner);
  owner.reset();
  cluster->objects.erase(segment_object("log", kOne));
  owner = start();
  EXPECT_EQ(numbers(*owner), "2 ");
  owner->prepare(3, kOne, kSize);  // and can be made again
  EXPECT_THAT(finish(*owner), ElementsAre("3"));
  EXPECT_EQ(numbers(*owner), "1 2 ");
}

TEST_F(PoolTest, WhatADeadOwnerWasMakingOrRemovingIsRemoved) {
  auto owner = start();
  owner->prepare(2, kTwo, kSize);
  finish(*owner);
  divert(
      [](const MemoryOperation& operation) {
        return operation.write != nullptr && operation.write->object != "log.head";
      },
      {.lost = true});
  owner->prepare(3, kThree, kSize);
  owner->remove(4, kTwo);
  std::vector<std::string> ended;
  pass(milliseconds(100), owner.get());
  cluster->kill(last_client);
  owner.reset();
  cluster->decide = {};
  EXPECT_EQ(cluster->objects.at("log.head").entries.size(), 3U);

  owner = start();
  EXPECT_EQ(numbers(*owner), "1 ");
  pass(milliseconds(100), owner.get());
  EXPECT_EQ(cluster->objects.at("log.head").entries.size(), 1U);
  EXPECT_EQ(cluster->objects.size(), 2U);
}

TEST_F(PoolTest, ASegmentMadeWhileALeftoverOfItsNumberIsBeingRemovedStays) {
  auto owner = start();
  divert(
      [](const MemoryOperation& operation) {
        return operation.write != nullptr && operation.write->object != "log.head";
      },
      {.lost = true});
  owner->prepare(2, kTwo, kSize);
  pass(milliseconds(100), owner.get());
  cluster->kill(last_client);
  owner.reset();

  // The object's removal takes its time; so does each answer to it.
  divert([](const MemoryOperation& operation) { return operation.write != nullptr && operation.write->remove; },
         {.there = milliseconds(20), .back = milliseconds(200)});
  owner = start();
  owner->prepare(3, kTwo, kSize);
  EXPECT_THAT(finish(*owner), ElementsAre("3"));
  owner->write(4, kTwo, 0, b.bytes);
  EXPECT_THAT(finish(*owner), ElementsAre("4"));
  pass(seconds(1), owner.get());
  owner.reset();
  owner = start();
  EXPECT_EQ(numbers(*owner), "1 2 ");
  EXPECT_EQ(at(*owner, kTwo, 0), 'b');
}

TEST_F(PoolTest, TheLaterOfTwoReplacementsOfABlobStays) {
  auto owner = start();
  bool first = true;
  cluster->decide = [&](const MemoryOperation& operation) {
    const bool blob = operation.write != nullptr && !operation.write->entries.empty();
    return blob && std::exchange(first, false) ? Journey{.back = seconds(60)} : Journey{};
  };
  owner->replace_blob(2, "progress", a.bytes);  // done, but its answer is lost
  owner->replace_blob(3, "progress", b.bytes);
  EXPECT_THAT(finish(*owner), ElementsAre("2", "3"));
  owner.reset();
  owner = start();
  EXPECT_EQ((*owner->read_blob("progress"))->at(0), std::byte{'b'});
}

// ---- Outcomes that nobody knows ----

TEST_F(PoolTest, AWriteWhoseAnswerIsLostIsWrittenAgainBeforeAnythingElse) {
  const auto owner = start();
  int writes = 0;
  cluster->decide = [&](const MemoryOperation& operation) {
    return is_data(operation) && ++writes == 1 ? Journey{.lost = true} : Journey{};
  };
  owner->write(2, kOne, 0, a.bytes);
  owner->write(3, kOne, kBlock, b.bytes);
  pass(cluster->bound - milliseconds(1), nullptr);
  std::vector<std::string> ended;
  poll(*owner, ended);
  ended.clear();
  pass(milliseconds(1));
  poll(*owner, ended);
  EXPECT_TRUE(owner->unsettled());
  owner->write(4, kOne, 2 * kBlock, c.bytes);
  EXPECT_EQ(writes, 3);  // the first one again, and not yet the last
  EXPECT_THAT(finish(*owner), testing::IsSupersetOf({"2", "4"}));
  EXPECT_EQ(at(*owner, kOne, 0), 'a');
  EXPECT_EQ(at(*owner, kOne, 2 * kBlock), 'c');
}

// ---- Owners ----

TEST_F(PoolTest, LockWaitsForAnOwnerThatRenewsAndSaysWhoItIs) {
  const auto owner = start();
  auto standby = pool("b", [&](Time until) {
    std::vector<std::string> ended;
    cluster->step(std::min(until, owner->store().now() + milliseconds(1)));
    poll(*owner, ended);
  });
  const Time begun = cluster->now();
  const auto locked = standby->lock(seconds(5));
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().kind, Error::Kind::kBusy);
  EXPECT_EQ(locked.error().message, "rados:hf: in use by another node (host-a, process 7)");
  EXPECT_GE(cluster->now() - begun, seconds(5));
  EXPECT_TRUE(owner->owned());
  EXPECT_FALSE(owner->fenced() || owner->lapsed());
}

TEST_F(PoolTest, LockTakesTheLogOfADeadOwnerAfterItsLease) {
  auto owner = start();
  cluster->kill(last_client);
  const Time begun = cluster->now();
  const auto standby = start("b");
  EXPECT_GE(cluster->now() - begun, kLease);
  EXPECT_LE(cluster->now() - begun, 2 * kLease);
  EXPECT_EQ(standby->head().epoch, 2U);
}

TEST_F(PoolTest, LockTakesADeadOwnersLogAlsoWhereItsLeaseIsLongerThanTheBound) {
  auto owner = start();
  cluster->kill(last_client);
  const auto standby = pool("b");
  const auto locked = standby->lock(milliseconds(10));
  EXPECT_TRUE(locked) << locked.error().message;
}

TEST_F(PoolTest, ATakeThatIsLongOnItsWayDeposesNobodyWhoHasRenewedMeanwhile) {
  const auto owner = start();
  auto standby = pool("b", [&](Time until) {
    std::vector<std::string> ended;
    cluster->step(std::min(until, owner->store().now() + milliseconds(1)));
    poll(*owner, ended);
  });
  const std::uint64_t client = last_client;
  const auto seen = standby->look();
  ASSERT_TRUE(seen);
  divert([&](const MemoryOperation& operation) { return operation.client == client && operation.write != nullptr; },
         {.there = kLease});
  const auto taken = standby->take(*seen);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_FALSE(*taken);
  pass(2 * kLease, owner.get());
  EXPECT_FALSE(owner->fenced() || owner->lapsed());
  EXPECT_EQ(owner->head().epoch, 1U);
}

TEST_F(PoolTest, AStartGoesOnAfterAnAnswerThatDoesNotCome) {
  const auto late = cluster->bound + seconds(1);
  for (const Journey journey : {Journey{.lost = true}, Journey{.there = late}, Journey{.back = late}}) {
    // The first look, the take, the look after it, raising the segment.
    for (int which = 1; which <= 4; ++which) {
      SCOPED_TRACE(testing::Message() << "operation " << which << ", lost: " << journey.lost
                                      << ", executed after: " << journey.there / milliseconds(1) << " ms");
      start().reset();
      auto next = pool("b");
      int operations = 0;
      divert([&](const MemoryOperation&) { return ++operations == which; }, journey);
      const auto locked = next->lock(seconds(30));
      ASSERT_TRUE(locked) << locked.error().message;
      cluster->decide = {};
      pass(2 * late, next.get());
      EXPECT_FALSE(next->fenced() || next->lapsed());
      next->write(2, kOne, 0, a.bytes);
      EXPECT_THAT(finish(*next), ElementsAre("2"));
    }
  }
}

TEST_F(PoolTest, TheSameNodeTakesItsLogAtOnce) {
  auto owner = start();
  cluster->kill(last_client);
  const Time begun = cluster->now();
  start();
  EXPECT_LT(cluster->now() - begun, kLease / 4);
}

TEST_F(PoolTest, ALogGivenBackIsTakenAtOnceAndStaysGivenBack) {
  auto owner = start();
  // The answer takes longer than until the next renewal would be due.
  divert([](const MemoryOperation& operation) { return is_renewal(operation); }, {.back = kLease});
  owner.reset();
  cluster->decide = {};
  const Time begun = cluster->now();
  EXPECT_FALSE(reader()->has_owner());
  start("b");
  EXPECT_LT(cluster->now() - begun, kLease / 4);
}

TEST_F(PoolTest, AnOwnerWithWritesOnTheirWayDoesNotGiveTheLogBack) {
  auto owner = start();
  divert(is_data, {.there = seconds(3)});
  owner->write(2, kOne, 0, a.bytes);
  owner.reset();
  const auto standby = start("b");
  pass(seconds(5), standby.get());
  EXPECT_EQ(at(*standby, kOne, 0), 0);  // it came too late
}

TEST_F(PoolTest, NothingOfAFormerOwnerLandsOnceTheLogIsTaken) {
  auto owner = start();
  const std::uint64_t former = last_client;
  cluster->blocklist_lag = std::chrono::hours(1);  // it is no fence
  divert([&](const MemoryOperation& operation) { return operation.client == former; }, {.there = seconds(4)});
  owner->write(2, kOne, 0, a.bytes);
  owner->prepare(3, kTwo, kSize);
  owner->replace_blob(4, "progress", a.bytes);
  const auto next = start("b");
  const std::string found = numbers(*next);
  next->write(5, kOne, 0, b.bytes);
  EXPECT_THAT(finish(*next), ElementsAre("5"));
  pass(seconds(5), next.get());
  EXPECT_EQ(at(*next, kOne, 0), 'b');
  EXPECT_EQ(found, "1 ");
  EXPECT_EQ(cluster->objects.at("log.head").entries.size(), 1U);

  const auto ended = finish(*owner);
  ASSERT_EQ(ended.size(), 3U);
  for (const std::string& end : ended) EXPECT_THAT(end, HasSubstr("another node has taken this log over"));
  EXPECT_TRUE(owner->fenced());
  const auto locked = owner->lock(seconds(1));
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().kind, Error::Kind::kBusy);
  owner->write(6, kOne, 0, a.bytes);
  EXPECT_THAT(finish(*owner), ElementsAre(HasSubstr("6: ")));
}

TEST_F(PoolTest, AFencedOwnerReportsNothingAsDone) {
  const auto owner = start();
  owner->write(2, kOne, 0, a.bytes);
  pass(milliseconds(10));  // done and answered; nobody looks
  const auto next = start("b");
  EXPECT_EQ(at(*next, kOne, 0), 'a');  // and it is there
  EXPECT_THAT(finish(*owner), ElementsAre(HasSubstr("2: rados:hf: cannot go on: another node has taken this log")));
}

TEST_F(PoolTest, ALongQueueOfChangesEndsWhenItsOwnerIsFencedOff) {
  const auto owner = start();
  cluster->shut_out(last_client);
  constexpr std::size_t kMany = 50'000;
  for (Token token = 2; token < 2 + kMany; ++token) {
    owner->replace_blob(token, "progress", Bytes(a.bytes).first(1));
  }
  EXPECT_EQ(finish(*owner).size(), kMany);
}

TEST_F(PoolTest, AFencedOwnerWaitsForNothingThatWillNotCome) {
  const auto owner = start();
  cluster->blocklist_lag = std::chrono::hours(1);
  const auto next = start("b");
  pass(kLease, owner.get());
  ASSERT_TRUE(owner->fenced());
  pass(kLease);
  const Time begun = cluster->now();
  EXPECT_EQ(at(*owner, kOne, 0), 0);  // a read waits for its answer, not for a renewal that was due long ago
  EXPECT_GT(cluster->now(), begun);
}

TEST_F(PoolTest, ALeaseThatHasRunOutHoldsCompletionsBackUntilARenewalComesThrough) {
  const auto owner = start();
  divert(is_renewal, {.lost = true});
  pass(kLease, owner.get());
  EXPECT_TRUE(owner->lapsed());
  owner->write(2, kOne, 0, a.bytes);
  pass(kLease, owner.get());  // nothing is reported
  EXPECT_EQ(owner->in_flight(), 1U);
  EXPECT_EQ(at(*owner, kOne, 0), 'a');
  cluster->decide = {};
  EXPECT_THAT(finish(*owner), ElementsAre("2"));
  EXPECT_FALSE(owner->lapsed());
}

TEST_F(PoolTest, OneOnTheBlocklistStops) {
  const auto owner = start();
  cluster->shut_out(last_client);
  owner->write(2, kOne, 0, a.bytes);
  EXPECT_THAT(finish(*owner), ElementsAre(HasSubstr("blocklist")));
  EXPECT_TRUE(owner->fenced());
}

TEST_F(PoolTest, TheSuccessorPutsADeadOwnerOnTheBlocklist) {
  auto owner = start();
  divert(is_renewal, {.lost = true});
  const auto next = start("b");
  pass(seconds(1), next.get());
  owner->write(2, kOne, 0, a.bytes);
  EXPECT_THAT(finish(*owner), ElementsAre(HasSubstr("blocklist")));
}

TEST_F(PoolTest, AnEpochInOtherDigitsIsRefusedRatherThanTriedForEver) {
  auto owner = start();
  owner.reset();
  cluster->objects.at("log.head").attributes["epoch"] = "1";
  const auto locked = pool("b")->lock(seconds(1));
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().kind, Error::Kind::kCorrupt);
}

TEST_F(PoolTest, ALogIsMadeWithTheNumberOfItsFormat) {
  const auto owner = start();
  EXPECT_EQ(cluster->objects.at("log.head").attributes.at("format"), "1");
}

TEST_F(PoolTest, ALogOfANewerFormatIsNotTaken) {
  auto owner = start();
  cluster->kill(last_client);  // there is nobody whom it would depose
  MemoryObject& head = cluster->objects.at("log.head");
  head.attributes["format"] = "2";
  const MemoryObject before = head;
  auto older = pool("b");
  const auto locked = older->lock(2 * kLease);
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().kind, Error::Kind::kIncompatible);
  older.reset();
  EXPECT_EQ(head.attributes, before.attributes);
  EXPECT_EQ(head.entries, before.entries);
  EXPECT_EQ(cluster->objects.at(segment_object("log", kOne)).attributes.at("epoch"), encode_epoch(1));
  EXPECT_FALSE(reader()->segments());
}

TEST_F(PoolTest, AnOwnerGoesOnWhateverIsWrittenBesideIt) {
  const auto owner = start();
  cluster->objects.at("log.head").attributes["format"] = "2";
  pass(2 * kLease, owner.get());
  owner->write(2, kOne, 0, a.bytes);
  EXPECT_THAT(finish(*owner), ElementsAre("2"));
}

TEST_F(PoolTest, OneThatLosesTheLogWhileItFencesOffCanTakeItLater) {
  start().reset();
  auto slow = pool("b");
  const std::uint64_t client = last_client;
  // Raising the epoch of segment 1 takes longer than until a renewal shows that the log is somebody else's.
  divert(
      [&](const MemoryOperation& operation) {
        return operation.client == client && operation.write != nullptr && operation.write->object != "log.head";
      },
      {.there = kLease});
  // Who takes it once the head has been read again, and gives it back.
  int reads = 0;
  cluster->executed = [&](const MemoryOperation& operation, Outcome) {
    if (operation.client != client || operation.read == nullptr || ++reads != 2) return;
    MemoryObject& head = cluster->objects.at("log.head");
    head.attributes["epoch"] = encode_epoch(9);
    cluster->objects.at(segment_object("log", kOne)).attributes["epoch"] = encode_epoch(9);
    Owner other;
    other.state = Owner::State::kReleased;
    head.attributes["owner"] = encode(other);
  };
  const auto seen = slow->look();
  ASSERT_TRUE(seen);
  const auto taken = slow->take(*seen);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_FALSE(*taken);
  EXPECT_FALSE(slow->owned() || slow->fenced());
  const auto again = slow->look();
  ASSERT_TRUE(again);
  const auto taken_again = slow->take(*again);
  ASSERT_TRUE(taken_again) << taken_again.error().message;
  ASSERT_TRUE(*taken_again);
  EXPECT_EQ(slow->head().epoch, 10U);
  cluster->decide = {};
  slow->write(2, kOne, 0, a.bytes);
  EXPECT_THAT(finish(*slow), ElementsAre("2"));
}

TEST_F(PoolTest, OneThatCannotReadTheHeadAfterTakingItCanTryAgain) {
  start().reset();
  auto slow = pool("b");
  int reads = 0;
  divert([&](const MemoryOperation& operation) { return operation.read != nullptr && ++reads == 2; }, {.lost = true});
  const auto locked = slow->lock(seconds(5));
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().kind, Error::Kind::kTimeout);
  // It goes on renewing nothing: that would come in behind the next attempt, and seem to end it.
  divert(
      [&](const MemoryOperation& operation) {
        return operation.write != nullptr && operation.write->attributes.size() == 2;
      },
      {.there = kLease / 2});
  ASSERT_TRUE(slow->lock(seconds(5)));
  pass(2 * kLease, slow.get());
  EXPECT_FALSE(slow->fenced() || slow->lapsed());
}

// ---- Patience ----

// Of segments, in the order of their submission.
bool is_raise(const MemoryOperation& operation) {
  return operation.write != nullptr && operation.write->object.starts_with("log.segment-");
}

TEST_F(PoolTest, ATakeGivesUpOnASegmentThatDoesNotAnswerAndSaysWhich) {
  auto owner = start();
  owner->prepare(2, kTwo, kSize);
  finish(*owner);
  owner.reset();
  auto next = pool("b");
  std::vector<std::string> told;
  next->set_patience(
      {.bound = seconds(15), .over = {}, .tell = [&](const std::string& what) { told.push_back(what); }});
  unsigned reads = 0;
  cluster->decide = [&](const MemoryOperation& operation) {
    reads += operation.read != nullptr && operation.read->length > 0 ? 1 : 0;
    return Journey{.lost = is_raise(operation) && operation.write->object == segment_object("log", kTwo)};
  };
  const Time begun = cluster->now();
  const auto locked = next->lock(seconds(5));
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().kind, Error::Kind::kTimeout);
  EXPECT_THAT(locked.error().message,
              HasSubstr("rados:hf: cannot fence off the former owner from segment 2: no answer"));
  EXPECT_GE(cluster->now() - begun, seconds(15));
  EXPECT_LE(cluster->now() - begun, seconds(17));
  EXPECT_THAT(told,
              ElementsAre("rados:hf: waiting for the cluster's answer about log.segment-0000000000000002: look at "
                          "`ceph -s`"));
  EXPECT_EQ(reads, 0U);
  EXPECT_FALSE(next->owned());
  const auto again = next->lock(seconds(5));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, Error::Kind::kTimeout);
  EXPECT_LE(cluster->now() - begun, seconds(17));

  // Another attempt of the same node, once it answers.
  cluster->decide = {};
  next = pool("b");
  ASSERT_TRUE(next->lock(seconds(5)));
  EXPECT_EQ(next->head().epoch, 3U);
  EXPECT_EQ(cluster->objects.at(segment_object("log", kTwo)).attributes.at("epoch"), encode_epoch(3));
  next->write(3, kTwo, 0, a.bytes);
  EXPECT_THAT(finish(*next), ElementsAre("3"));
}

TEST_F(PoolTest, ATakeWaitsAsLongAsSegmentsAnswerOneByOne) {
  auto owner = start();
  for (const SegmentNumber segment : {kTwo, kThree}) owner->prepare(2, segment, kSize);
  finish(*owner);
  owner.reset();
  cluster->bound = seconds(60);
  int raised = 0;
  cluster->decide = [&](const MemoryOperation& operation) {
    return is_raise(operation) ? Journey{.there = seconds(10) * ++raised} : Journey{};
  };
  const Time begun = cluster->now();
  start("b");
  EXPECT_GE(cluster->now() - begun, seconds(30));
}

TEST_F(PoolTest, WhoeverHasNoPatienceAnyMoreWaitsForNothing) {
  start().reset();
  auto next = pool("b");
  bool over = false;
  next->set_patience({.bound = seconds(15), .over = [&] { return over; }, .tell = {}});
  divert(is_raise, {.lost = true});
  cluster->executed = [&](const MemoryOperation&, Outcome) {
    over = cluster->objects.at("log.head").attributes["epoch"] == encode_epoch(2);
  };
  const Time begun = cluster->now();
  EXPECT_FALSE(next->lock(seconds(5)));
  EXPECT_LE(cluster->now() - begun, seconds(2));
  next.reset();
  const auto head = pool("c")->look();
  ASSERT_TRUE(head);
  EXPECT_NE(head->active_owner(), nullptr) << "given back with something on its way";
}

TEST_F(PoolTest, OneWhoseOwnerHasNoPatienceAnyMoreReadsAndWritesNothing) {
  auto owner = start();
  bool over = false;
  owner->set_patience({.bound = seconds(15), .over = [&] { return over; }, .tell = {}});
  over = true;
  std::size_t operations = 0;
  divert(is_data, {.lost = true});
  owner->write(2, kOne, 0, a.bytes);
  std::vector<std::string> ended;
  const Time begun = cluster->now();
  owner->wait();
  poll(*owner, ended);
  EXPECT_THAT(ended, ElementsAre(HasSubstr("no answer from the cluster in time")));
  cluster->decide = [&](const MemoryOperation&) {
    ++operations;
    return Journey{};
  };
  std::vector<std::byte> bytes(kBlock);
  EXPECT_FALSE(owner->read(kOne, 0, bytes));
  EXPECT_FALSE(owner->write_blob("identity", a.bytes));
  owner->prepare(3, kTwo, kSize);
  EXPECT_THAT(finish(*owner), ElementsAre(HasSubstr("3: ")));
  owner.reset();
  EXPECT_EQ(cluster->now(), begun);
  EXPECT_EQ(operations, 0U);
}

// What recovery writes before the log runs.
TEST_F(PoolTest, AWriteThatIsWaitedForHasABound) {
  const auto owner = start();
  divert(is_data, {.lost = true});
  owner->write(2, kOne, 0, a.bytes);
  const Time begun = cluster->now();
  EXPECT_THAT(finish(*owner), ElementsAre(HasSubstr("2: rados:hf: cannot write to segment 1: no answer")));
  EXPECT_LE(cluster->now() - begun, seconds(17));
}

TEST_F(PoolTest, ARenewalThatIsWaitedForHasABound) {
  const auto owner = start();
  divert(is_renewal, {.lost = true});
  pass(kLease, owner.get());
  owner->write(2, kOne, 0, a.bytes);
  EXPECT_THAT(finish(*owner), ElementsAre(HasSubstr("2: rados:hf: cannot go on: no answer")));
}

TEST_F(PoolTest, DestroyedWithOperationsOfEachKindOnTheirWay) {
  const auto owner_of_all = [&](bool killed) {
    auto owner = start();
    owner->prepare(2, kTwo, kSize);
    finish(*owner);
    divert([](const MemoryOperation&) { return true; }, {.there = seconds(1)});
    owner->write(3, kOne, 0, a.bytes);
    owner->prepare(4, kThree, kSize);
    owner->recycle(5, kTwo, SegmentNumber{4});
    owner->remove(6, kOne);
    owner->replace_blob(7, "progress", a.bytes);
    owner->replace_blob(8, "progress", b.bytes);
    pass(kLease / 2, owner.get());
    if (killed) cluster->kill(last_client);
    owner.reset();
    cluster->decide = {};
    pass(seconds(20));
    cluster->objects.clear();
  };
  owner_of_all(false);
  owner_of_all(true);
}

// ---- Segments at rest ----

// Writes up to this segment, once each; all lower ones but the last are at rest then.
void PoolTest::write_up_to(Pool& owner, std::uint64_t last) {
  for (std::uint64_t number = 1; number <= last; ++number) {
    if (!owner.head().segments.contains(number)) owner.prepare(100 + number, SegmentNumber{number}, kSize);
    finish(owner);
    owner.write(200 + number, SegmentNumber{number}, 0, a.bytes);
    finish(owner);
  }
  settle_writes(owner);
}

TEST_F(PoolTest, ATakeRaisesOnlyWhatIsAwake) {
  auto owner = start();
  write_up_to(*owner, 5);
  EXPECT_EQ(states(*owner), "1r 2r 3r 4a 5a ");
  owner.reset();

  std::size_t raised = 0;
  cluster->executed = [&](const MemoryOperation& operation, Outcome) {
    if (operation.write != nullptr && operation.write->object.starts_with("log.segment-")) ++raised;
  };
  auto next = start("b");
  EXPECT_EQ(raised, 2U);
  EXPECT_EQ(numbers(*next), "1 2 3 4 5 ");
  EXPECT_EQ(at(*next, kOne, 0), 'a');
  EXPECT_EQ(states(*next), "1r 2r 3r 4a 5a ");
  // The next one to write to a new segment is done with its predecessor's.
  next->prepare(2, SegmentNumber{6}, kSize);
  finish(*next);
  next->write(3, SegmentNumber{6}, 0, b.bytes);
  finish(*next);
  settle_writes(*next);
  EXPECT_EQ(states(*next), "1r 2r 3r 4r 5r 6a ");
}

TEST_F(PoolTest, ASegmentAtRestIsWokenBeforeItIsWrittenTo) {
  auto owner = start();
  write_up_to(*owner, 4);
  owner.reset();
  auto next = start("b");
  std::vector<std::string> seen;
  cluster->executed = [&](const MemoryOperation& operation, Outcome outcome) {
    if (operation.write == nullptr || is_renewal(operation)) return;
    const ObjectWrite& write = *operation.write;
    std::string what = write.object == "log.head" ? "head" : "object";
    for (const auto& [key, value] : write.entries) what += " " + std::to_string(static_cast<int>(value.at(0)));
    if (!write.attributes.empty()) what += " raise";
    if (!write.data.empty()) what += " data";
    seen.push_back(what + (outcome == Outcome::kDone ? "" : " refused"));
  };
  next->write(2, kOne, kBlock, b.bytes);
  next->write(3, kOne, 2 * kBlock, c.bytes);
  EXPECT_THAT(finish(*next), testing::UnorderedElementsAre("2", "3"));
  EXPECT_THAT(seen, ElementsAre("head 2", "object raise", "object data", "object data"));
  EXPECT_EQ(at(*next, kOne, 2 * kBlock), 'c');
  EXPECT_EQ(cluster->objects["log.segment-0000000000000001"].attributes["epoch"], encode_epoch(2));
}

TEST_F(PoolTest, ASegmentWithAWriteOnItsWayStaysAwake) {
  auto owner = start();
  for (const SegmentNumber segment : {kTwo, kThree}) owner->prepare(2, segment, kSize);
  finish(*owner);
  divert([](const MemoryOperation& operation) { return is_data(operation) && operation.write->offset == kBlock; },
         {.there = kLease / 2});
  owner->write(3, kOne, 0, a.bytes);
  owner->write(4, kOne, kBlock, a.bytes);
  owner->write(5, kTwo, 0, a.bytes);
  owner->write(6, kThree, 0, a.bytes);
  std::vector<std::string> ended;
  for (const Time end = cluster->now() + kLease / 4; cluster->now() < end;) {
    cluster->step(std::min(end, cluster->now() + milliseconds(1)));
    poll(*owner, ended);
  }
  EXPECT_EQ(ended.size(), 3U);
  EXPECT_EQ(states(*owner), "1a 2a 3a ");
  finish(*owner);
  settle_writes(*owner);
  EXPECT_EQ(states(*owner), "1r 2a 3a ");
}

// A newer owner has woken a segment, and is about to raise its object: one that raised it to its own, lower epoch now
// could write to it.
TEST_F(PoolTest, ATakerThatReadsTheHeadTooLateRaisesNothing) {
  auto owner = start();
  write_up_to(*owner, 4);
  owner.reset();
  auto slow = pool("b");
  const auto seen = slow->look();
  ASSERT_TRUE(seen);
  // Between its take and its look at the head.
  cluster->executed = [&](const MemoryOperation& operation, Outcome outcome) {
    if (operation.write == nullptr || outcome != Outcome::kDone || operation.write->object != "log.head") return;
    cluster->executed = {};
    MemoryObject& head = cluster->objects["log.head"];
    head.attributes["epoch"] = encode_epoch(seen->epoch + 2);
    head.entries[segment_entry(kOne)] = encode(SegmentEntry{SegmentState::kMade, kSize});
  };
  const auto taken = slow->take(*seen);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_FALSE(*taken);
  EXPECT_EQ(cluster->objects["log.segment-0000000000000001"].attributes["epoch"], encode_epoch(1));
}

TEST_F(PoolTest, ASegmentAtRestIsRemovedAndRecycled) {
  auto owner = start();
  write_up_to(*owner, 5);
  owner->remove(2, kOne);
  owner->recycle(3, kTwo, SegmentNumber{6});
  finish(*owner);
  settle_writes(*owner);
  EXPECT_EQ(states(*owner), "3r 4a 5a 6a ");
  EXPECT_FALSE(cluster->objects.contains("log.segment-0000000000000001"));
  EXPECT_FALSE(cluster->objects.contains("log.segment-0000000000000002"));
}

// ---- Readers ----

TEST_F(PoolTest, AReaderSeesWhatIsThereAndChangesNothing) {
  EXPECT_EQ(numbers(*reader()), "");
  EXPECT_THAT(cluster->objects, IsEmpty());
  const auto owner = start();
  owner->write(2, kOne, 0, a.bytes);
  finish(*owner);
  EXPECT_TRUE(owner->write_blob("identity", b.bytes));
  divert(
      [](const MemoryOperation& operation) {
        return operation.write != nullptr && operation.write->object != "log.head";
      },
      {.lost = true});
  owner->prepare(3, kTwo, kSize);  // does not come so far as to be in use
  pass(milliseconds(100), owner.get());
  const auto looking = reader();
  EXPECT_EQ(numbers(*looking), "1 ");
  EXPECT_EQ(at(*looking, kOne, 0), 'a');
  EXPECT_THAT(*looking->blobs(), ElementsAre("identity"));
  EXPECT_EQ((*looking->read_blob("identity"))->at(0), std::byte{'b'});
  EXPECT_EQ(looking->lock(seconds(1)).error().kind, Error::Kind::kUsage);
  looking->write(4, kOne, 0, c.bytes);
  looking->remove(5, kOne);
  EXPECT_EQ(finish(*looking).size(), 2U);
  EXPECT_EQ(at(*looking, kOne, 0), 'a');
}

TEST_F(PoolTest, AReaderTellsALiveOwnerFromADeadOne) {
  EXPECT_FALSE(reader()->has_owner());
  const auto owner = start();
  const std::uint64_t client = last_client;
  const auto live = read_pool("rados:hf", "log", connect([&](Time until) {
                                std::vector<std::string> ended;
                                cluster->step(std::min(until, cluster->now() + milliseconds(1)));
                                poll(*owner, ended);
                              }));
  EXPECT_TRUE(live->has_owner());
  cluster->kill(client);
  EXPECT_FALSE(reader()->has_owner());
}

}  // namespace
}  // namespace holdfast::location::rados
