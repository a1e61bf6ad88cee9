// Which locations make up a log, and what is refused.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/crc32c.h"
#include "base/endian.h"
#include "location/absent.h"
#include "log/identity.h"
#include "log/world.h"

namespace holdfast::log {
namespace {

using test::World;

bool mentions(const std::string& message, const std::string& what) { return message.find(what) != std::string::npos; }

void write_some(World& world) {
  world.start();
  world.put(1, 0, "stored");
  world.settle();
}

// A segment file of this number at the second location.
void leave_stray(World& world, SegmentNumber number) {
  test::Memory handle(world.disks[1]);
  ASSERT_TRUE(handle.lock(std::chrono::seconds(1)));
  handle.prepare(1, number, 1U << 20);
  world.disks[1]->complete_all();
}

TEST(Membership, EmptyLocationsAreFormatted) {
  World world(3);
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->stored_on(), 2U);
  EXPECT_EQ(world.log->locations().size(), 3U);
  EXPECT_TRUE(world.seen.records.empty());
}

TEST(Membership, SecretsStayTheSameOverStarts) {
  World world(2);
  ASSERT_EQ(world.open(), "");
  const Secrets first = world.log->secrets();
  EXPECT_NE(first.isn, first.cookie);
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->secrets().isn, first.isn);
  EXPECT_EQ(world.log->secrets().cookie, first.cookie);
}

TEST(Membership, TheOrderOfLocationsDoesNotMatter) {
  World world(3);
  write_some(world);
  ASSERT_EQ(world.open({2, 0, 1}), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored");
  EXPECT_EQ(world.log->locations()[0].name, "/disk/a");
}

TEST(Membership, ALocationInUseStopsEverything) {
  World world(2);
  write_some(world);
  std::vector<std::unique_ptr<location::Location>> again;
  for (auto& disk : world.disks) again.push_back(std::make_unique<test::Memory>(disk));
  test::Recorder seen;
  const auto random = world.entropy();
  const auto opened = Log::open(std::move(again), world.options, random, std::chrono::seconds(1), seen);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, Error::Kind::kBusy);
}

TEST(Membership, ALocationOfAnotherLogIsRefused) {
  World one(2), other(2, test::small_options(), 99);
  write_some(one);
  write_some(other);
  one.log.reset();
  other.log.reset();
  one.disks[1] = other.disks[1];
  const std::string message = one.open();
  EXPECT_EQ(one.error.kind, Error::Kind::kIncompatible);
  EXPECT_TRUE(mentions(message, "/disk/a") && mentions(message, "/disk/b")) << message;
}

TEST(Membership, ANonEmptyPlaceWithoutIdentityIsRefused) {
  World world(1);
  write_some(world);
  world.log.reset();
  world.disks[0]->lose_blob(kIdentityBlob);
  const std::string message = world.open();
  EXPECT_EQ(world.error.kind, Error::Kind::kIncompatible);
  EXPECT_TRUE(mentions(message, "not empty")) << message;
}

TEST(Membership, AForeignPlaceFailsAloneWhereTheOthersAreEnough) {
  World world(3);
  write_some(world);
  world.log.reset();
  world.disks[1]->lose_blob(kIdentityBlob);  // segments, and nothing that says whose they are
  ASSERT_EQ(world.open(), "");
  const auto all = world.log->locations();
  EXPECT_EQ(all[1].state, LocationState::kFailed);
  EXPECT_TRUE(mentions(all[1].reason, "is its disk mounted")) << all[1].reason;
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored");
}

TEST(Membership, ANewLogIsNotMadeBesideAForeignPlace) {
  World world(3);
  {
    test::Memory foreign(world.disks[2]);
    ASSERT_TRUE(foreign.lock(Duration::zero()));
    ASSERT_TRUE(foreign.write_blob("something", {}));
  }
  EXPECT_TRUE(mentions(world.open(), "/disk/c: not empty"));
  EXPECT_EQ(world.error.kind, Error::Kind::kIncompatible);
  EXPECT_TRUE(world.disks[0]->blobs().empty());
}

TEST(Membership, AnAbsentLocationFailsAloneWhereTheOthersAreEnough) {
  World world(3);
  const Error lost{Error::Kind::kUnavailable, "/disk/b: there is no such directory"};
  const auto open = [&](std::vector<unsigned> there) {
    world.log.reset();
    std::vector<std::unique_ptr<location::Location>> locations;
    for (unsigned i = 0; i < 3; ++i) {
      if (std::ranges::find(there, i) != there.end()) {
        locations.push_back(std::make_unique<test::Memory>(world.disks[i]));
      } else {
        locations.push_back(std::make_unique<location::Absent>(world.disks[i]->name(), lost));
      }
    }
    const auto random = world.entropy();
    return Log::open(std::move(locations), world.options, random, std::chrono::seconds(1), world.seen);
  };
  const auto made = open({0, 2});
  ASSERT_FALSE(made);
  EXPECT_TRUE(mentions(made.error().message, lost.message)) << made.error().message;
  write_some(world);
  auto opened = open({0, 2});
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ((*opened)->locations()[1].state, LocationState::kFailed);
  EXPECT_EQ((*opened)->locations()[1].reason, lost.message);
  opened->reset();
  const auto too_few = open({0});
  ASSERT_FALSE(too_few);
  EXPECT_TRUE(mentions(too_few.error().message, lost.message)) << too_few.error().message;
}

TEST(Membership, ADamagedIdentityIsItsLocationsOwnProblem) {
  World world(3);
  write_some(world);
  world.log.reset();
  const std::size_t size = world.disks[0]->blobs().at(kIdentityBlob).size();
  for (std::size_t i = 0; i < size; ++i) {
    world.disks[1]->flip_blob(kIdentityBlob, i, std::byte{0x40});
    ASSERT_EQ(world.open(), "") << i;
    EXPECT_EQ(world.log->locations()[1].state, LocationState::kFailed) << i;
    EXPECT_TRUE(mentions(world.log->locations()[1].reason, "damaged")) << world.log->locations()[1].reason;
    world.log.reset();
    world.disks[1]->flip_blob(kIdentityBlob, i, std::byte{0x40});
  }
}

// A file system that went read-only, a device on which a dead process's writes hang: nobody else uses it, so the others
// go on.
TEST(Membership, ALocationThatCannotBeLockedFailsAlone) {
  World world(3);
  write_some(world);
  world.put(1, 6, " and more");
  world.log->pump(true);
  world.log.reset();
  ASSERT_FALSE(world.disks[2]->late().empty());
  world.disks[2]->faults.pass_time = [](Duration) { return Duration::zero(); };
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kFailed);
  EXPECT_TRUE(mentions(world.log->locations()[2].reason, "on their way")) << world.log->locations()[2].reason;
}

// A backup of something else, say, on a medium that cannot be written to.
TEST(Membership, WhoseDirectoryItIsThatCannotBeLockedIsItsOwnProblem) {
  World world(3), other(3, test::small_options(), 2);
  write_some(world);
  world.log.reset();
  write_some(other);
  other.put(1, 6, " and more");
  other.log->pump(true);
  other.log.reset();
  ASSERT_FALSE(other.disks[2]->late().empty());
  world.disks[2] = other.disks[2];
  world.disks[2]->faults.pass_time = [](Duration) { return Duration::zero(); };
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kFailed);
  EXPECT_TRUE(mentions(world.log->locations()[2].reason, "on their way")) << world.log->locations()[2].reason;
}

TEST(Membership, NobodyIsRefilledWhereTheNewestListCannotBeUsed) {
  World world(5);
  world.options.stored_on = 3;
  write_some(world);
  world.log.reset();
  world.disks[1]->lose_everything();
  ASSERT_EQ(world.open({0, 1, 2, 3}), "");  // which disk 4 does not know of
  world.settle();
  for (auto& disk : world.disks) disk->faults.automatic = false;
  world.put(1, 6, "+more");
  world.log->pump(true);
  for (unsigned i = 1; i < 4; ++i) world.disks[i]->complete_all();
  world.log.reset();
  for (auto& disk : world.disks) disk->faults.automatic = true;
  world.disks[0]->faults.pass_time = [](Duration) { return Duration::zero(); };
  world.disks[2]->lose_everything();
  EXPECT_TRUE(mentions(world.open({0, 2, 4}), "leave the empty one out"));
  EXPECT_TRUE(world.disks[2]->blobs().empty());
}

// Its device is slow for a moment: an empty directory in another one's place must not get its seat.
TEST(Membership, AnEmptyLocationNeverTakesTheSeatOfOneThatIsStuck) {
  for (const unsigned replicas : {3U, 5U}) {
    World world(replicas);
    world.options.stored_on = replicas == 5 ? 3 : 2;
    write_some(world);
    for (auto& disk : world.disks) disk->faults.automatic = false;
    world.put(1, 6, "+more");
    world.log->pump(true);
    for (unsigned i = 1; i < replicas; ++i) world.disks[i]->complete_all();
    world.log.reset();
    for (auto& disk : world.disks) disk->faults.automatic = true;
    world.disks[2]->lose_everything();
    world.disks[0]->faults.pass_time = [](Duration) { return Duration::zero(); };
    ASSERT_EQ(world.open() == "", replicas == 5);
    world.log.reset();
    world.disks[0]->faults.pass_time = {};
    ASSERT_EQ(world.open(), "") << replicas;
    for (const LocationStatus& location : world.log->locations()) {
      EXPECT_EQ(location.state, LocationState::kActive) << location.name << ": " << location.reason;
    }
    EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored+more");
  }
}

TEST(Membership, AStrayNumberSendsTheOthersNowhere) {
  World world(3);
  write_some(world);
  world.log.reset();
  leave_stray(world, SegmentNumber{(std::uint64_t{1} << 45) - 1});
  for (int start = 0; start < 3; ++start) {
    ASSERT_EQ(world.open(), "");
    world.settle();
    EXPECT_EQ(world.log->locations()[0].state, LocationState::kActive);
    EXPECT_EQ(world.log->locations()[1].state, LocationState::kFailed);
  }
}

// A log that once went on behind a gap has its own files there.
TEST(Membership, ALogsOwnSegmentsAreNoStrays) {
  World world(3);
  write_some(world);
  world.log.reset();
  leave_stray(world, SegmentNumber{(std::uint64_t{1} << 20) + 4});
  for (int start = 0; start < 3; ++start) {
    ASSERT_EQ(world.open(), "");
    world.settle();
    for (const LocationStatus& location : world.log->locations()) {
      EXPECT_EQ(location.state, LocationState::kActive) << location.name << ": " << location.reason;
    }
    EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored");
  }
}

TEST(Membership, ASegmentNumberThatNoLogReachesIsItsLocationsOwnProblem) {
  for (const std::uint64_t number : {std::uint64_t{1} << 63, (std::uint64_t{1} << 45) + 1}) {
    World world(3);
    write_some(world);
    world.log.reset();
    leave_stray(world, SegmentNumber{number});
    ASSERT_EQ(world.open(), "");
    EXPECT_EQ(world.log->locations()[1].state, LocationState::kFailed);
    EXPECT_TRUE(mentions(world.log->locations()[1].reason, "move that file away"));
    world.put(1, 6, "more");
    world.settle();
    EXPECT_GE(world.log->durable().value + 1, world.log->open_lsn().value);
  }
}

TEST(Membership, ANewerFormatIsRefused) {
  World world(1);
  write_some(world);
  world.log.reset();
  {
    test::Memory handle(world.disks[0]);
    ASSERT_TRUE(handle.lock(std::chrono::seconds(1)));
    auto blob = **handle.read_blob(kIdentityBlob);
    store_le<std::uint32_t>(blob.data() + 8, 2);
    store_le<std::uint32_t>(blob.data() + blob.size() - 4, crc32c(0, Bytes(blob).first(blob.size() - 4)));
    ASSERT_TRUE(handle.write_blob(kIdentityBlob, blob));
  }
  const std::string message = world.open();
  EXPECT_EQ(world.error.kind, Error::Kind::kIncompatible);
  EXPECT_TRUE(mentions(message, "use a newer holdfast")) << message;
}

TEST(Membership, TheSameLocationTwiceIsRefused) {
  World world(2);
  write_some(world);
  world.log.reset();
  EXPECT_TRUE(mentions(world.open({0, 0}), "twice"));
  EXPECT_EQ(world.error.kind, Error::Kind::kUsage);
  // Under another name: a copy.
  const auto copy = std::make_shared<location::MemoryDisk>("/disk/copy");
  {
    test::Memory handle(copy);
    ASSERT_TRUE(handle.lock(std::chrono::seconds(1)));
    for (const auto& [name, content] : world.disks[0]->blobs()) ASSERT_TRUE(handle.write_blob(name, content));
  }
  world.disks[1] = copy;
  EXPECT_TRUE(mentions(world.open(), "same location"));
  EXPECT_EQ(world.error.kind, Error::Kind::kUsage);
}

TEST(Membership, TooFewLocationsAreRefusedByName) {
  World world(3);
  write_some(world);
  const std::string message = world.open({1});
  EXPECT_EQ(world.error.kind, Error::Kind::kUnavailable);
  EXPECT_TRUE(mentions(message, "1 of this log's 3 locations")) << message;
  EXPECT_TRUE(mentions(message, "not given")) << message;
}

TEST(Membership, AMissingLocationIsListed) {
  World world(3);
  write_some(world);
  ASSERT_EQ(world.open({0, 2}), "");
  const auto all = world.log->locations();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].state, LocationState::kFailed);
  EXPECT_EQ(all[1].reason, "not given");
  EXPECT_EQ(world.log->stored_on(), 2U);
}

TEST(Membership, MoreLocationsThanMembersAreRefused) {
  World world(2);
  write_some(world);
  world.disks.push_back(std::make_shared<location::MemoryDisk>("/disk/new"));
  const std::string message = world.open();
  EXPECT_EQ(world.error.kind, Error::Kind::kUsage);
  EXPECT_TRUE(mentions(message, "/disk/new")) << message;
}

TEST(Membership, TheQuorumCannotBeChangedAfterwards) {
  World world(3);
  write_some(world);
  world.options.stored_on = 3;
  EXPECT_TRUE(mentions(world.open(), "stored on 2 of 3"));
  EXPECT_EQ(world.error.kind, Error::Kind::kUsage);
}

TEST(Membership, AnEmptyLocationTakesALostOnesPlaceOnceItHoldsEverything) {
  for (const unsigned replicas : {2U, 3U}) {
    World world(replicas);
    write_some(world);
    world.log.reset();
    const auto lost = world.disks[1];
    world.disks[1] = std::make_shared<location::MemoryDisk>("/disk/new");
    ASSERT_EQ(world.open(), "") << replicas;
    EXPECT_EQ(world.log->locations()[1].state, LocationState::kActive) << world.log->locations()[1].reason;
    world.put(1, 6, " again");
    world.settle();
    if (replicas == 3) {
      ASSERT_EQ(world.open({1, 2}), "") << "and counts";
      EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored again");
    }
    world.log.reset();
    // The lost one has no say any more.
    world.disks[1] = lost;
    const std::string message = world.open();
    if (replicas == 2) {
      EXPECT_EQ(world.error.kind, Error::Kind::kUnavailable);
      EXPECT_TRUE(mentions(message, "another location has taken its place")) << message;
    } else {
      ASSERT_EQ(message, "");
      const LocationStatus status = world.log->locations()[1];
      EXPECT_EQ(status.state, LocationState::kFailed);
      EXPECT_TRUE(mentions(status.reason, "another location has taken its place")) << status.reason;
      EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored again");
    }
  }
}

TEST(Membership, ARefilledLocationDoesNotCountBeforeItIsComplete) {
  World world(3);
  write_some(world);
  world.log.reset();
  world.options.copy_limit = 0;
  world.disks[2] = std::make_shared<location::MemoryDisk>("/disk/new");
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kBehind);
  const std::string message = world.open({0, 2});
  EXPECT_EQ(world.error.kind, Error::Kind::kUnavailable) << message;
  EXPECT_TRUE(mentions(message, "1 of this log's 3 locations can be read")) << message;
  world.options.copy_limit = 1U << 30;
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kActive);
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored");
}

// Without it there would be no start at all: however much it lacks.
TEST(Membership, ALocationThatTheQuorumNeedsIsRefilledBeyondTheLimit) {
  World world(2);
  write_some(world);
  world.log.reset();
  world.options.copy_limit = 0;
  const auto lost = world.disks[1];
  world.disks[1] = std::make_shared<location::MemoryDisk>("/disk/new");
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[1].state, LocationState::kActive);
  world.settle();
  world.log.reset();
  std::vector<location::Location*> only;
  test::Memory handle(world.disks[1]);
  only.push_back(&handle);
  EXPECT_TRUE(Reader::open(only));
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored");
}

// With W = 1 a batch may have been on the lost location alone.
TEST(Membership, ALostLocationThatMayHoldTheOnlyCopyIsNotReplaced) {
  World world(2);
  world.options.stored_on = 1;
  write_some(world);
  world.log.reset();
  world.disks[1] = std::make_shared<location::MemoryDisk>("/disk/new");
  world.options.on_replace = [](const std::string& name) { ADD_FAILURE() << name << " replaces nobody"; };
  EXPECT_TRUE(mentions(world.open(), "/disk/new: is empty, and can be refilled only beside 2 that are whole"));
  EXPECT_EQ(world.error.kind, Error::Kind::kUnavailable);
  EXPECT_TRUE(world.disks[1]->blobs().empty());
}

TEST(Membership, DyingAtAnyBlobOfFormattingIsHarmless) {
  for (int step = 0; step < 12; ++step) {
    World world(2);
    int left = step;
    for (auto& disk : world.disks) {
      disk->faults.before_blob = [&](const std::string&) {
        if (left-- > 0) return location::MemoryFaults::Step::kDo;
        return location::MemoryFaults::Step::kFail;
      };
    }
    if (world.open().empty()) world.settle();
    for (auto& disk : world.disks) disk->faults.before_blob = nullptr;
    world.log.reset();
    ASSERT_EQ(world.open(), "") << step;
    world.put(1, 0, "works");
    world.settle();
    ASSERT_EQ(world.open(), "") << step;
    EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "works");
  }
}

TEST(Membership, OptionsOutOfRangeAreRefused) {
  const auto refused = [](auto change) {
    World world(1);
    change(world.options);
    world.open();
    return world.error.kind == Error::Kind::kUsage && world.log == nullptr;
  };
  EXPECT_TRUE(refused([](Options& o) { o.segment_size = 3 << 19; }));
  EXPECT_TRUE(refused([](Options& o) { o.segment_size = 0; }));
  EXPECT_TRUE(refused([](Options& o) { o.batch_size = 1000; }));
  EXPECT_TRUE(refused([](Options& o) { o.batch_size = 64U << 20; }));
  EXPECT_TRUE(refused([](Options& o) { o.max_in_flight = 0; }));
  EXPECT_TRUE(refused([](Options& o) { o.prepared_segments = 0; }));
  EXPECT_TRUE(refused([](Options& o) { o.stored_on = 2; }));
}

}  // namespace
}  // namespace holdfast::log
