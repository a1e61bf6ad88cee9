#include "location/rados/memory_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::location::rados {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Time at(int ms) { return Time{} + milliseconds(ms); }

std::vector<std::byte> bytes(const std::string& text) {
  const Bytes all = std::as_bytes(std::span(text));
  return {all.begin(), all.end()};
}

class MemoryStoreTest : public testing::Test {
 protected:
  static ObjectWrite write(const std::string& object) {
    ObjectWrite write;
    write.object = object;
    return write;
  }
  static ObjectWrite create(const std::string& object, std::uint64_t epoch) {
    ObjectWrite made = write(object);
    made.existence = ObjectWrite::Existence::kNew;
    made.attributes = {{kAttributeEpoch, encode_epoch(epoch)}};
    made.size = 4;
    return made;
  }
  Outcome now(const ObjectWrite& write) {
    store.submit(++tag, write);
    while (true) {
      for (const Finished& finished : store.take()) {
        if (finished.tag == tag) return finished.outcome;
      }
      store.wait(kNever);
    }
  }
  // What has ended: "tag outcome".
  static std::vector<std::string> ended(MemoryStore& of) {
    std::vector<std::string> all;
    for (const Finished& finished : of.take()) {
      all.push_back(std::to_string(finished.tag) + " " + std::to_string(static_cast<int>(finished.outcome)));
    }
    return all;
  }
  void run_until(Time end) {
    while (cluster->step(end)) {
    }
  }
  std::string content(const std::string& object) const {
    std::string text;
    for (const std::byte b : cluster->objects.at(object).data) text += b == std::byte{} ? '.' : static_cast<char>(b);
    return text;
  }

  std::shared_ptr<MemoryCluster> cluster = std::make_shared<MemoryCluster>();
  MemoryStore store{cluster};
  std::uint64_t tag = 100;
};

TEST_F(MemoryStoreTest, AnOperationHappensWholeOrNotAtAll) {
  EXPECT_EQ(now(write("o")), Outcome::kAbsent);
  EXPECT_EQ(now(create("o", 3)), Outcome::kDone);
  EXPECT_EQ(now(create("o", 4)), Outcome::kExists);
  const auto data = bytes("xy");
  ObjectWrite change = write("o");
  change.offset = 1;
  change.data = data;
  change.entries = {{"k", bytes("v")}};
  change.epoch = 2;
  EXPECT_EQ(now(change), Outcome::kGuard);
  EXPECT_EQ(content("o"), "....");
  EXPECT_THAT(cluster->objects.at("o").entries, IsEmpty());
  change.epoch = 3;
  EXPECT_EQ(now(change), Outcome::kDone);
  EXPECT_EQ(content("o"), ".xy.");
  ObjectWrite raise = write("o");
  raise.epoch_at_most = 2;
  EXPECT_EQ(now(raise), Outcome::kGuard);
  raise.epoch_at_most = 5;
  raise.attributes = {{kAttributeEpoch, encode_epoch(5)}};
  EXPECT_EQ(now(raise), Outcome::kDone);
  EXPECT_EQ(now(change), Outcome::kGuard);
  ObjectWrite empty = write("o");
  empty.clear = true;
  empty.size = 2;
  empty.dropped_entries = {"k"};
  EXPECT_EQ(now(empty), Outcome::kDone);
  EXPECT_EQ(content("o"), "..");
  EXPECT_THAT(cluster->objects.at("o").entries, IsEmpty());
  ObjectWrite gone = write("o");
  gone.remove = true;
  EXPECT_EQ(now(gone), Outcome::kDone);
  EXPECT_THAT(cluster->objects, IsEmpty());
}

TEST_F(MemoryStoreTest, AnObjectWithoutAnEpochHasALowerOneThanAny) {
  cluster->objects["o"];
  ObjectWrite change = write("o");
  change.epoch = 0;
  EXPECT_EQ(now(change), Outcome::kGuard);
  change.epoch.reset();
  change.epoch_at_most = 0;
  EXPECT_EQ(now(change), Outcome::kDone);
}

TEST_F(MemoryStoreTest, FullIsOnlyWhatAdds) {
  EXPECT_EQ(now(create("o", 1)), Outcome::kDone);
  cluster->full = true;
  EXPECT_EQ(now(create("p", 1)), Outcome::kFull);
  ObjectWrite change = write("o");
  change.attributes = {{"a", "b"}};
  EXPECT_EQ(now(change), Outcome::kDone);
  change.remove = true;
  EXPECT_EQ(now(change), Outcome::kDone);
}

TEST_F(MemoryStoreTest, OneClientsOperationsOnOneObjectAreExecutedInTheirOrder) {
  EXPECT_EQ(now(create("o", 1)), Outcome::kDone);
  EXPECT_EQ(now(create("p", 1)), Outcome::kDone);
  std::vector<std::string> order;
  cluster->executed = [&](const MemoryOperation& operation, Outcome) {
    order.push_back(operation.write->object + std::to_string(operation.write->offset));
  };
  const std::vector<int> there{50, 10, 5};
  int n = 0;
  cluster->decide = [&](const MemoryOperation&) { return Journey{.there = milliseconds(there.at(n++)), .back = {}}; };
  for (const auto& [object, offset] : {std::pair("o", 1), std::pair("o", 2), std::pair("p", 3)}) {
    ObjectWrite change = write(object);
    change.offset = static_cast<std::uint64_t>(offset);
    store.submit(++tag, change);
  }
  run_until(cluster->now() + milliseconds(100));
  EXPECT_THAT(order, ElementsAre("p3", "o1", "o2"));
}

TEST_F(MemoryStoreTest, WhatIsLateIsUnknownAndHappensNonetheless) {
  EXPECT_EQ(now(create("o", 1)), Outcome::kDone);
  const Time begun = cluster->now();
  std::vector<Journey> journeys{{.there = seconds(20)}, {.back = seconds(20)}, {.lost = true}};
  std::size_t n = 0;
  cluster->decide = [&](const MemoryOperation&) { return journeys.at(n++); };
  const auto data = bytes("abc");
  for (std::uint64_t i : {0U, 1U, 2U}) {
    ObjectWrite change = write("o");
    change.offset = i;
    change.data = Bytes(data).subspan(i, 1);
    store.submit(i, change);
  }
  run_until(begun + cluster->bound);
  EXPECT_THAT(ended(store), ElementsAre("0 4", "1 4", "2 4"));
  EXPECT_EQ(content("o"), "....");  // the second waits behind the first
  run_until(begun + seconds(60));
  EXPECT_EQ(content("o"), "ab..");
  EXPECT_THAT(ended(store), IsEmpty());
}

TEST_F(MemoryStoreTest, ALateAnswerIsNoAnswerToTheNextOperationOfThatTag) {
  EXPECT_EQ(now(create("o", 1)), Outcome::kDone);
  std::vector<Journey> journeys{{.back = cluster->bound + seconds(1)}, {.back = seconds(3)}};
  std::size_t n = 0;
  cluster->decide = [&](const MemoryOperation&) { return journeys.at(n++); };
  const Time begun = cluster->now();
  store.submit(1, write("o"));
  run_until(begun + cluster->bound);
  EXPECT_THAT(ended(store), ElementsAre("1 4"));
  ObjectWrite guarded = write("o");
  guarded.epoch = 2;
  store.submit(1, guarded);
  run_until(begun + cluster->bound + seconds(2));
  EXPECT_THAT(ended(store), IsEmpty());
  run_until(begun + cluster->bound + seconds(4));
  EXPECT_THAT(ended(store), ElementsAre("1 3"));
}

TEST_F(MemoryStoreTest, AnOperationOutlivesItsClient) {
  EXPECT_EQ(now(create("o", 1)), Outcome::kDone);
  cluster->decide = [](const MemoryOperation&) { return Journey{.there = seconds(1)}; };
  const auto data = bytes("abcd");
  ObjectWrite change = write("o");
  change.data = Bytes(data).first(1);
  auto dead = std::make_unique<MemoryStore>(cluster);
  dead->submit(1, change);
  cluster->kill(dead->client());
  EXPECT_THAT(ended(*dead), ElementsAre("1 6"));
  const Time shown = dead->now();
  dead->wait(shown + seconds(9));  // nothing keeps what is dead
  EXPECT_EQ(dead->now(), shown + seconds(9));
  change.offset = 2;
  dead->submit(2, change);
  dead.reset();
  auto gone = std::make_unique<MemoryStore>(cluster);
  change.offset = 3;
  gone->submit(1, change);
  gone.reset();
  run_until(at(9000));
  EXPECT_EQ(content("o"), "a..a");
}

TEST_F(MemoryStoreTest, TheBlocklistHasAnEffectLater) {
  EXPECT_EQ(now(create("o", 1)), Outcome::kDone);
  MemoryStore other(cluster);
  other.shut_out(store.client_address());
  EXPECT_EQ(now(write("o")), Outcome::kDone);
  run_until(cluster->now() + cluster->blocklist_lag);
  EXPECT_EQ(now(write("o")), Outcome::kShutOut);
}

TEST_F(MemoryStoreTest, AClockHasAnOffsetAndASpeedOfItsOwn) {
  MemoryStore fast(cluster, MemoryClock{seconds(100), 50'000});
  EXPECT_EQ(fast.now(), at(100'000));
  run_until(at(1000));
  EXPECT_EQ(fast.now(), at(101'050));
  fast.wake_at(at(102'100));
  EXPECT_EQ(fast.wakes_at(), at(2000));
  fast.wait(at(102'100));
  EXPECT_EQ(cluster->now(), at(2000));
  fast.wake_at(kNever);
  EXPECT_EQ(fast.wakes_at(), kNever);
}

TEST_F(MemoryStoreTest, ANotificationReachesThoseWhoLookAtTheObject) {
  MemoryStore other(cluster);
  other.look_at("o", "somebody");
  store.notify("p");
  run_until(at(100));
  EXPECT_FALSE(other.notified());
  store.notify("o");
  run_until(at(200));
  EXPECT_TRUE(other.notified());
  EXPECT_FALSE(other.notified());
  EXPECT_FALSE(store.notified());
}

}  // namespace
}  // namespace holdfast::location::rados
