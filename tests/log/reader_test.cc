// Looking at somebody else's log, stopped or running.
#include "log/reader.h"

#include <gtest/gtest.h>

#include "log/identity.h"
#include "log/repair_log.h"
#include "log/world.h"

namespace holdfast::log {
namespace {

using test::in_record;
using test::pattern;
using test::text;
using test::to_text;
using test::World;

class Onlooker {
 public:
  explicit Onlooker(World& world, std::vector<unsigned> on = {}) {
    if (on.empty()) {
      for (unsigned i = 0; i < world.disks.size(); ++i) on.push_back(i);
    }
    std::vector<location::Location*> locations;
    for (const unsigned i : on) {
      handles_.push_back(std::make_unique<test::Memory>(world.disks[i]));
      locations.push_back(handles_.back().get());
    }
    auto opened = Reader::open(locations);
    if (opened) {
      reader = std::move(*opened);
    } else {
      error = opened.error();
    }
  }

  std::string read(std::uint64_t stream, Direction direction, std::uint64_t from, std::uint64_t length) {
    std::string all;
    const auto done =
        reader->read(StreamId{stream}, direction, StreamOffset{from}, length, [&](StreamOffset at, Bytes piece) {
          EXPECT_EQ(at.value, from + all.size());
          all += to_text(piece);
          return true;
        });
    if (!done) {
      error = done.error();
      return "ERROR " + done.error().message;
    }
    return all;
  }

  std::unique_ptr<Reader> reader;
  Error error;

 private:
  std::vector<std::unique_ptr<test::Memory>> handles_;
};

// Two streams over several segments and two epochs.
struct TwoStreams {
  World world;
  std::uint64_t ends[3] = {0, 0, 0};
  explicit TwoStreams(unsigned replicas = 2) : world(replicas) {
    world.start();
    for (const std::uint64_t id : {1U, 2U}) {
      world.log->append(test::record(RecordType::kConnection, id), text("first record of " + std::to_string(id)));
    }
    write(60);
    EXPECT_EQ(world.open(), "");
    world.log->append(test::record(RecordType::kConnection, 1), text("second record of 1"));
    write(20);
    RecordHeader close = test::record(RecordType::kClose, 2);
    close.extra = 3;
    world.log->append(close, {});
    world.settle();
  }
  void write(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      for (const std::uint64_t id : {1U, 2U}) {
        const auto bytes = pattern(id, ends[id], 25000);
        ASSERT_NE(world.log->append(in_record(id, ends[id]), bytes), Lsn{});
        ends[id] += bytes.size();
      }
      world.settle();
    }
  }
};

TEST(Reader, ListsEveryStreamWithItsLatestRecord) {
  TwoStreams two;
  Onlooker onlooker(two.world);
  ASSERT_NE(onlooker.reader, nullptr) << onlooker.error.message;
  const auto list = onlooker.reader->list();
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 2U);
  const StreamInfo& first = (*list)[0];
  EXPECT_EQ(first.id, StreamId{1});
  EXPECT_EQ(to_text(first.connection), "second record of 1");
  EXPECT_FALSE(first.closed);
  EXPECT_EQ(first.in.begin, StreamOffset{0});
  EXPECT_EQ(first.in.end, StreamOffset{two.ends[1]});
  const StreamInfo& second = (*list)[1];
  EXPECT_EQ(to_text(second.connection), "first record of 2");
  EXPECT_TRUE(second.closed);
  EXPECT_EQ(second.close_reason, 3U);
}

TEST(Reader, ReadsAnyRangeOverSegmentsAndEpochs) {
  TwoStreams two;
  Onlooker onlooker(two.world);
  for (const std::uint64_t id : {1U, 2U}) {
    EXPECT_EQ(onlooker.read(id, Direction::kIn, 0, two.ends[id]), to_text(pattern(id, 0, two.ends[id])));
    EXPECT_EQ(onlooker.read(id, Direction::kIn, 999999, 123457), to_text(pattern(id, 999999, 123457)));
    EXPECT_EQ(onlooker.read(id, Direction::kIn, two.ends[id] - 1, 1), to_text(pattern(id, two.ends[id] - 1, 1)));
  }
}

TEST(Reader, StopsWhenTheSinkHasEnough) {
  TwoStreams two;
  Onlooker onlooker(two.world);
  int pieces = 0;
  ASSERT_TRUE(onlooker.reader->read(StreamId{1}, Direction::kIn, StreamOffset{0}, two.ends[1],
                                    [&](StreamOffset, Bytes) { return ++pieces < 2; }));
  EXPECT_EQ(pieces, 2);
}

TEST(Reader, WhatIsNotThereIsAnError) {
  TwoStreams two;
  Onlooker onlooker(two.world);
  onlooker.read(1, Direction::kIn, two.ends[1] - 1, 2);
  EXPECT_EQ(onlooker.error.kind, Error::Kind::kUsage);
  onlooker.read(1, Direction::kOut, 0, 1);
  EXPECT_EQ(onlooker.error.kind, Error::Kind::kUsage);
  onlooker.read(17, Direction::kIn, 0, 1);
  EXPECT_NE(onlooker.error.message.find("no stream 17"), std::string::npos);
}

TEST(Reader, WhatCannotBeReadIsNoMistakeOfWhoeverAsks) {
  World world(2);
  EXPECT_EQ(Onlooker(world).error.kind, Error::Kind::kUsage);
  EXPECT_EQ(Onlooker(world, {0}).error.message, "/disk/a: holds no log");
  world.disks[0]->faults.failing = true;
  EXPECT_EQ(Onlooker(world).error.kind, Error::Kind::kIo);
  EXPECT_EQ(Onlooker(world, {0}).error.kind, Error::Kind::kIo);
  const std::string message = Onlooker(world, {0}).error.message;
  EXPECT_EQ(message.find("/disk/a"), message.rfind("/disk/a")) << message;
}

TEST(Reader, EchoedBytesAreOutboundToo) {
  World world(1);
  world.start();
  world.log->append(in_record(1, 0, kEcho), text("echo"));
  world.log->append(test::record(RecordType::kOut, 2, 0), text("sent"), 77);
  world.settle();
  Onlooker onlooker(world);
  EXPECT_EQ(onlooker.read(1, Direction::kOut, 0, 4), "echo");
  EXPECT_EQ(onlooker.read(2, Direction::kOut, 1, 2), "en");
  EXPECT_EQ(onlooker.reader->show(StreamId{2})->consumed, 77U);
}

TEST(Reader, ABadCopyIsReadFromAnotherLocation) {
  TwoStreams two;
  for (unsigned bad = 0; bad < 2; ++bad) {
    two.world.disks[bad]->flip(SegmentNumber{1}, bad == 0 ? 20000 : 300000, std::byte{1});
  }
  Onlooker onlooker(two.world);
  EXPECT_EQ(onlooker.read(1, Direction::kIn, 0, two.ends[1]), to_text(pattern(1, 0, two.ends[1])));
}

TEST(Reader, ARangeThatIsBadEverywhereNamesStreamRangeAndLocations) {
  TwoStreams two;
  for (auto& disk : two.world.disks) disk->flip(SegmentNumber{1}, 20000, std::byte{1});
  Onlooker onlooker(two.world);
  const std::string got = onlooker.read(1, Direction::kIn, 0, two.ends[1]);
  EXPECT_EQ(onlooker.error.kind, Error::Kind::kCorrupt);
  for (const char* part : {"stream 1 in [0, ", "/disk/a", "/disk/b", "segment 1 "}) {
    EXPECT_NE(got.find(part), std::string::npos) << got;
  }
  // The rest can be read.
  EXPECT_EQ(onlooker.read(1, Direction::kIn, 500000, 1000), to_text(pattern(1, 500000, 1000)));
}

TEST(Reader, OneLocationIsEnoughForWhatIsKnownToBeDurable) {
  TwoStreams two(3);
  Onlooker onlooker(two.world, {2});
  ASSERT_NE(onlooker.reader, nullptr) << onlooker.error.message;
  const std::string got = onlooker.read(1, Direction::kIn, 0, 1000000);
  EXPECT_EQ(got, to_text(pattern(1, 0, 1000000)));
  EXPECT_EQ(onlooker.reader->info().stored_on, 2U);
  EXPECT_EQ(onlooker.reader->info().replicas, 3U);
}

TEST(Reader, FollowsARunningNode) {
  World world(2);
  world.start();
  Onlooker onlooker(world);
  ASSERT_NE(onlooker.reader, nullptr) << onlooker.error.message;
  std::uint64_t end = 0;
  for (int i = 0; i < 150; ++i) {
    const auto bytes = pattern(1, end, 30000);
    ASSERT_NE(world.log->append(in_record(1, end), bytes), Lsn{});
    world.settle();
    const std::uint64_t before = end;
    end += bytes.size();
    const auto moved = onlooker.reader->refresh();
    ASSERT_TRUE(moved) << moved.error().message;
    EXPECT_TRUE(*moved);
    ASSERT_EQ(onlooker.reader->show(StreamId{1})->in.end, StreamOffset{end}) << i;
    ASSERT_EQ(onlooker.read(1, Direction::kIn, before, bytes.size()), to_text(bytes)) << i;
    EXPECT_FALSE(*onlooker.reader->refresh());
    if (i % 50 == 49) {  // a restart in between
      world.crash();
      ASSERT_EQ(world.open(), "");
      world.settle();
    }
  }
  EXPECT_EQ(onlooker.read(1, Direction::kIn, 0, end), to_text(pattern(1, 0, end)));
}

// Stream 1: 7 bytes everywhere, 5 more on the first disk, and on their way to the others.
void put_on_the_first(World& world) {
  world.start();
  world.put(1, 0, "durable");
  world.settle();
  for (auto& disk : world.disks) disk->faults.automatic = false;
  world.put(1, 7, "+more");
  world.log->pump(true);
  world.disks[0]->complete_all();
}

TEST(Reader, ShowsNothingThatIsNotDurable) {
  World world(2);
  put_on_the_first(world);
  Onlooker onlooker(world);
  EXPECT_EQ(onlooker.reader->show(StreamId{1})->in.end, StreamOffset{7}) << "one of two locations has it";
  world.disks[1]->complete_all();
  ASSERT_TRUE(onlooker.reader->refresh());
  EXPECT_EQ(onlooker.reader->show(StreamId{1})->in.end, StreamOffset{12});
}

// Two of three locations had it, so that it was acknowledged; one of these is lost with its proof. A recovery would
// adopt it from the other.
TEST(Reader, ShowsWhatALostLocationMayHaveMadeDurable) {
  World world(3);
  put_on_the_first(world);
  world.disks[1]->complete_all();
  const auto shown_by = [&world](std::vector<unsigned> on) {
    return Onlooker(world, std::move(on)).reader->show(StreamId{1})->in.end.value;
  };
  EXPECT_EQ(shown_by({0, 2}), 12U);
  EXPECT_EQ(shown_by({0}), 7U) << "too few for a recovery: this one may have been left behind";
  world.disks[2]->complete_all();
}

// One that died leaves what it has left: where the copies are good, what only one of two has was never acknowledged.
TEST(Reader, ShowsNothingThatIsNotDurableOfAStoppedLogEither) {
  World world(2);
  put_on_the_first(world);
  world.crash();
  EXPECT_EQ(Onlooker(world).reader->show(StreamId{1})->in.end, StreamOffset{7});
  EXPECT_EQ(Onlooker(world, {0}).reader->show(StreamId{1})->in.end, StreamOffset{12}) << "the other may have it";
}

void store_and_stop(World& world) {
  world.start();
  world.put(1, 0, "durable");
  world.settle();
  world.log.reset();
}

// One of the two copies of bytes that were acknowledged has rotted.
TEST(Reader, TheEndOfTheLogIsReadFromTheCopyThatIsGood) {
  World world(2);
  store_and_stop(world);
  world.disks[0]->zero(SegmentNumber{1}, 0, 1U << 20);
  EXPECT_EQ(Onlooker(world).read(1, Direction::kIn, 0, 7), "durable");
}

TEST(Reader, ABadCopyOfTheLastBatchIsNoReasonToHideIt) {
  World world(2);
  store_and_stop(world);
  world.disks[0]->flip(SegmentNumber{1}, kBlock + 80, std::byte{1});
  EXPECT_EQ(Onlooker(world).read(1, Direction::kIn, 0, 7), "durable");
}

// A block of zeros looks as if nothing was ever written there.
TEST(Reader, ABlankCopyOfTheLastBatchIsToldOf) {
  World world(2);
  store_and_stop(world);
  EXPECT_EQ(Onlooker(world).reader->info().undecided, 0U);
  world.disks[0]->zero(SegmentNumber{1}, kBlock, kBlock);
  EXPECT_EQ(Onlooker(world).reader->info().undecided, 1U);
  EXPECT_EQ(Onlooker(world, {1}).read(1, Direction::kIn, 0, 7), "durable");
}

TEST(Reader, AVanishedOrCutOffCopyOfTheLastSegmentIsNoReasonToHideIt) {
  for (const bool vanished : {true, false}) {
    World world(2);
    store_and_stop(world);
    ASSERT_EQ(world.open(), "");
    world.put(1, 7, " too");
    world.settle();
    const SegmentNumber newest = world.log->last_extent().segment;
    world.log.reset();
    if (vanished) world.disks[0]->lose_segment(newest);
    if (!vanished) world.disks[0]->truncate(newest, 4096);
    world.disks[1]->lose_blob(kProgressBlob);
    world.disks[0]->lose_blob(kProgressBlob);
    EXPECT_EQ(Onlooker(world).reader->show(StreamId{1})->in.end, StreamOffset{11}) << vanished;
  }
}

// What proves that an older segment ends, and where, is the first batch of the next one: without it the footers do.
TEST(Reader, ABadFirstBatchOfAnOlderSegmentHidesNothingElse) {
  TwoStreams two;
  two.world.log.reset();
  for (auto& disk : two.world.disks) disk->flip(SegmentNumber{2}, 100, std::byte{1});
  Onlooker onlooker(two.world);
  ASSERT_NE(onlooker.reader, nullptr) << onlooker.error.message;
  EXPECT_TRUE(onlooker.reader->info().damage.empty());
  EXPECT_EQ(onlooker.reader->show(StreamId{1})->in.end, StreamOffset{two.ends[1]});
  EXPECT_EQ(onlooker.read(1, Direction::kIn, 0, 100'000), to_text(pattern(1, 0, 100'000)));
  const std::uint64_t late = two.ends[1] - 100'000;
  EXPECT_EQ(onlooker.read(1, Direction::kIn, late, 100'000), to_text(pattern(1, late, 100'000)));
  const std::string all = onlooker.read(1, Direction::kIn, 0, two.ends[1]);
  EXPECT_NE(all.find("segment 2 offset 0"), std::string::npos) << all.substr(0, 300);
}

TEST(Reader, ASegmentOfWhichNothingIsLeftIsToldAndTheOthersAreRead) {
  TwoStreams two;
  two.world.log.reset();
  for (auto& disk : two.world.disks) disk->lose_segment(SegmentNumber{2});
  Onlooker onlooker(two.world);
  ASSERT_NE(onlooker.reader, nullptr) << onlooker.error.message;
  ASSERT_EQ(onlooker.reader->info().damage.size(), 1U);
  EXPECT_NE(onlooker.reader->info().damage[0].find("segment 2 "), std::string::npos);
  EXPECT_EQ(onlooker.reader->show(StreamId{1})->in.end, StreamOffset{two.ends[1]});
  EXPECT_EQ(onlooker.read(1, Direction::kIn, 0, 100'000), to_text(pattern(1, 0, 100'000)));
  const std::uint64_t late = two.ends[1] - 100'000;
  EXPECT_EQ(onlooker.read(1, Direction::kIn, late, 100'000), to_text(pattern(1, late, 100'000)));
  EXPECT_NE(onlooker.read(1, Direction::kIn, 0, two.ends[1]).find("segment 2 "), std::string::npos);
  EXPECT_NE(onlooker.read(17, Direction::kIn, 0, 1).find("no stream 17 can be read"), std::string::npos);
}

TEST(Reader, AnEndThatRottedEverywhereIsTold) {
  World world(1);
  world.start();
  for (int i = 0; i < 4; ++i) {
    world.put(1, static_cast<std::uint64_t>(i), "x");
    world.settle();
  }
  world.log.reset();
  EXPECT_TRUE(Onlooker(world).reader->info().damage.empty());
  for (const std::uint64_t offset : {0U, 8192U}) {
    world.disks[0]->flip(SegmentNumber{1}, offset + 70, std::byte{1});
    Onlooker onlooker(world);
    ASSERT_EQ(onlooker.reader->info().damage.size(), 1U) << offset;
    world.disks[0]->flip(SegmentNumber{1}, offset + 70, std::byte{1});
  }
}

// All of a small segment is in flight: what follows it has landed, its first batch has not. That is no damage, beside a
// running node or after a power loss.
TEST(Reader, AHoleAtASegmentsBeginIsNoDamage) {
  for (const bool crash : {false, true}) {
    World world(1);
    world.options.batch_size = 512U << 10;
    world.options.max_in_flight = 8;
    world.options.prepared_segments = 6;
    world.start();
    std::uint64_t end = 0;
    const auto put = [&](int pieces) {
      for (int i = 0; i < pieces; ++i, end += 100'000) {
        ASSERT_NE(world.log->append(in_record(1, end), pattern(1, end, 100'000)), Lsn{});
      }
    };
    put(1);
    world.settle();
    put(1);
    world.settle();
    const std::uint64_t acknowledged = end;
    for (int i = 0; i < 100; ++i) world.log->pump(true);
    location::MemoryDisk& disk = *world.disks[0];
    disk.faults.automatic = false;
    for (int i = 0; i < 8; ++i) {
      put(4);
      world.log->pump(true);
    }
    bool behind = false;
    for (std::size_t i = 0; i < disk.pending().size();) {
      const auto& operation = disk.pending()[i];
      behind = behind || operation.segment == SegmentNumber{3};
      if (operation.segment == SegmentNumber{2}) {
        ++i;
      } else {
        disk.complete(i);
      }
    }
    ASSERT_TRUE(behind);
    if (crash) world.crash();
    Onlooker onlooker(world);
    ASSERT_NE(onlooker.reader, nullptr) << onlooker.error.message;
    EXPECT_TRUE(onlooker.reader->info().damage.empty()) << onlooker.reader->info().damage[0];
    const std::uint64_t shown = onlooker.reader->show(StreamId{1})->in.end.value;
    EXPECT_GE(shown, acknowledged);
    EXPECT_EQ(onlooker.read(1, Direction::kIn, 0, shown), to_text(pattern(1, 0, shown)));
    if (crash) continue;
    disk.complete_all();
    disk.faults.automatic = true;
    world.settle();
    ASSERT_TRUE(onlooker.reader->refresh());
    EXPECT_EQ(onlooker.read(1, Direction::kIn, 0, end), to_text(pattern(1, 0, end)));
  }
}

TEST(Reader, RotAnywhereInTheNewestSegmentsFirstBatchIsTold) {
  World world(1);
  world.start();
  for (std::uint64_t end = 0; end < 2'300'000; end += 50'000) {
    ASSERT_NE(world.log->append(in_record(1, end), pattern(1, end, 50'000)), Lsn{});
    world.settle();
  }
  world.log.reset();
  for (const std::uint64_t offset : {70U, 20'000U}) {
    world.disks[0]->flip(SegmentNumber{3}, offset, std::byte{1});
    EXPECT_EQ(Onlooker(world).reader->info().damage.size(), 1U) << offset;
    EXPECT_NE(world.open(), "");
    world.disks[0]->flip(SegmentNumber{3}, offset, std::byte{1});
  }
}

// Its word for its progress is word enough.
TEST(Reader, OneOfThreeDirectoriesOfAnIdleNodeShowsNoDamage) {
  World world(3);
  world.start();
  for (int i = 0; i < 10; ++i) world.log->pump(true);
  ASSERT_TRUE(world.disks[0]->blobs().contains(kProgressBlob));
  EXPECT_TRUE(Onlooker(world, {0}).reader->info().damage.empty());
  world.log.reset();
  EXPECT_TRUE(Onlooker(world, {0}).reader->info().damage.empty());
}

// What could not be read of a segment is not its end.
TEST(RepairLog, SealsNoLoss) {
  TwoStreams two;
  two.world.log.reset();
  for (auto& disk : two.world.disks) {
    disk->flip(SegmentNumber{2}, 70, std::byte{1});       // where it would be seen that segment 1 ends
    disk->flip(SegmentNumber{1}, 500'000, std::byte{1});  // a batch
    disk->zero(SegmentNumber{1}, (1U << 20) - kBlock, kBlock);
  }
  ASSERT_FALSE(Onlooker(two.world).reader->info().damage.empty());
  {
    test::Memory a(two.world.disks[0]), b(two.world.disks[1]);
    ASSERT_TRUE(repair_log({&a, &b}, std::chrono::seconds(1), {}));
  }
  EXPECT_FALSE(Onlooker(two.world).reader->info().damage.empty());
}

TEST(Reader, GivesRecordsInLogOrder) {
  TwoStreams two;
  Onlooker onlooker(two.world);
  Lsn last;
  std::uint64_t records = 0, bytes = 0, starts = 0;
  const auto done =
      onlooker.reader->records(Lsn{}, [&](const RecordHeader& header, Bytes payload, const Extent&, Lsn lsn) {
        EXPECT_GE(lsn, last);
        last = lsn;
        ++records;
        if (header.type == RecordType::kIn) bytes += payload.size();
        if (header.type == RecordType::kEpochStart) ++starts;
        return true;
      });
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(bytes, two.ends[1] + two.ends[2]);
  EXPECT_EQ(starts, 2U);
  EXPECT_EQ(last, onlooker.reader->info().end);
  Lsn first;
  ASSERT_TRUE(onlooker.reader->records(Lsn{40}, [&](const RecordHeader&, Bytes, const Extent&, Lsn lsn) {
    first = lsn;
    return false;
  }));
  EXPECT_EQ(first, Lsn{40});
}

TEST(Reader, ScrubFindsWhatIsDamagedAndWhere) {
  TwoStreams two;
  {
    Onlooker onlooker(two.world);
    const auto findings = onlooker.reader->scrub({});
    ASSERT_TRUE(findings);
    EXPECT_TRUE(findings->empty());
  }
  two.world.disks[1]->flip(SegmentNumber{1}, 20000, std::byte{1});
  two.world.disks[0]->flip(SegmentNumber{2}, 20000, std::byte{1});
  two.world.disks[1]->flip(SegmentNumber{2}, 20000, std::byte{1});
  Onlooker onlooker(two.world);
  std::uint64_t done = 0, all = 0;
  const auto findings = onlooker.reader->scrub([&](std::uint64_t a, std::uint64_t b) { done = a, all = b; });
  ASSERT_TRUE(findings);
  ASSERT_EQ(findings->size(), 2U);
  EXPECT_EQ((*findings)[0].location, "/disk/b");
  EXPECT_EQ((*findings)[0].segment, SegmentNumber{1});
  EXPECT_TRUE((*findings)[0].repairable);
  EXPECT_FALSE((*findings)[1].repairable);
  EXPECT_EQ((*findings)[1].segment, SegmentNumber{2});
  EXPECT_EQ(done, all);
}

TEST(RepairLog, CopiesWhatAnyLocationHasToTheOthers) {
  TwoStreams two;
  two.world.log.reset();
  two.world.disks[1]->flip(SegmentNumber{1}, 20000, std::byte{1});
  two.world.disks[0]->zero(SegmentNumber{1}, 200000, 300000);
  two.world.disks[0]->lose_segment(SegmentNumber{2});
  two.world.disks[1]->truncate(SegmentNumber{3}, 5000);
  {
    test::Memory a(two.world.disks[0]), b(two.world.disks[1]);
    const auto report = repair_log({&a, &b}, std::chrono::seconds(1), {});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->remaining.empty());
    EXPECT_GT(report->copied, 2000000U);
  }
  for (const unsigned alone : {0U, 1U}) {
    Onlooker onlooker(two.world, {alone});
    EXPECT_EQ(onlooker.read(1, Direction::kIn, 0, 1500000), to_text(pattern(1, 0, 1500000))) << alone;
  }
  Onlooker onlooker(two.world);
  EXPECT_TRUE(onlooker.reader->scrub({})->empty());
}

TEST(RepairLog, SaysWhatNobodyHas) {
  TwoStreams two;
  two.world.log.reset();
  for (auto& disk : two.world.disks) disk->flip(SegmentNumber{1}, 20000, std::byte{1});
  test::Memory a(two.world.disks[0]), b(two.world.disks[1]);
  const auto report = repair_log({&a, &b}, std::chrono::seconds(1), {});
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->remaining.size(), 1U);
  EXPECT_EQ(report->remaining[0].segment, SegmentNumber{1});
}

TEST(RepairLog, DemandsThatTheNodeIsStopped) {
  TwoStreams two;
  test::Memory a(two.world.disks[0]), b(two.world.disks[1]);
  const auto report = repair_log({&a, &b}, std::chrono::seconds(1), {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, Error::Kind::kBusy);
}

TEST(Reader, NeverWritesOrLocks) {
  TwoStreams two;
  two.world.log.reset();
  for (auto& disk : two.world.disks) {
    disk->faults.before_blob = [](const std::string&) {
      ADD_FAILURE() << "a reader wrote a blob";
      return location::MemoryFaults::Step::kDo;
    };
  }
  Onlooker onlooker(two.world);  // a changing call without the lock would end the process
  EXPECT_EQ(onlooker.read(1, Direction::kIn, 0, 10), to_text(pattern(1, 0, 10)));
  EXPECT_TRUE(onlooker.reader->scrub({}));
}

TEST(Reader, PlacesWithoutALogAreTold) {
  World world(2);
  Onlooker nothing(world);
  EXPECT_EQ(nothing.reader, nullptr);
  EXPECT_EQ(nothing.error.kind, Error::Kind::kUsage);
  ASSERT_EQ(world.open(), "");
  Onlooker empty(world);
  ASSERT_NE(empty.reader, nullptr) << empty.error.message;
  EXPECT_TRUE(empty.reader->list()->empty());
  EXPECT_FALSE(empty.reader->show(StreamId{1}));
}

TEST(Reader, RandomDamageNeverBringsWrongBytes) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    TwoStreams two(1);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 12; ++i) {
      const auto segments = two.world.disks[0]->segments();
      const SegmentNumber segment = segments[random() % segments.size()].number;
      const std::uint64_t at = random() % 3 == 0 ? (1U << 20) - 1 - random() % 4096 : random() % (1U << 20);
      two.world.disks[0]->flip(segment, at, static_cast<std::byte>(1U << (random() % 8)));
    }
    Onlooker onlooker(two.world);
    if (onlooker.reader == nullptr) continue;
    const auto list = onlooker.reader->list();
    if (!list) continue;
    for (const StreamInfo& info : *list) {
      std::uint64_t at = info.in.begin.value;
      const std::uint64_t id = info.id.value;
      (void)onlooker.reader->read(
          info.id, Direction::kIn, info.in.begin, info.in.size(), [&](StreamOffset, Bytes piece) {
            EXPECT_EQ(to_text(piece), to_text(pattern(id, at, piece.size()))) << "seed " << seed;
            at += piece.size();
            return true;
          });
    }
  }
}

}  // namespace
}  // namespace holdfast::log
