// The running log: appending, batches, durability, space, ceilings, reading back.
#include "log/log.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "log/identity.h"
#include "log/world.h"

namespace holdfast::log {
namespace {

using test::in_record;
using test::pattern;
using test::text;
using test::to_text;
using test::World;

TEST(Log, NothingIsDurableBeforeItsWriteCompletes) {
  World world(1);
  world.start();
  world.disks[0]->faults.automatic = false;
  const Lsn lsn = world.put(1, 0, "hello");
  EXPECT_LT(world.log->durable(), lsn);
  world.log->pump(true);
  EXPECT_LT(world.log->durable(), lsn);
  world.disks[0]->complete_all();
  EXPECT_LT(world.log->durable(), lsn);
  EXPECT_TRUE(world.log->pump(true));
  EXPECT_EQ(world.log->durable(), lsn);
}

TEST(Log, WhatWasDurableIsShownAfterARestart) {
  World world(1);
  world.start();
  world.put(1, 0, "hello ");
  world.put(1, 6, "world");
  world.settle();
  world.crash();
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "hello world");
}

TEST(Log, WhatNeverReachedADiskIsGone) {
  World world(1);
  world.start();
  world.put(1, 0, "kept");
  world.settle();
  world.disks[0]->faults.automatic = false;
  world.put(1, 4, "lost");
  world.log->pump(true);
  world.crash();
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "kept");
}

TEST(Log, PayloadInReceiveSpaceIsWrittenFromWhereItLies) {
  World world(1);
  world.start();
  const MutableBytes space = world.log->receive_space();
  ASSERT_GE(space.size(), 66U << 10);
  const auto bytes = pattern(1, 0, 10000);
  std::ranges::copy(bytes, space.begin());
  ASSERT_NE(world.log->append(in_record(1, 0), space.first(bytes.size())), Lsn{});
  world.settle();
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(bytes));
}

TEST(Log, ReceiveSpaceIsAlwaysLargeEnough) {
  World world(1);
  world.start();
  std::uint64_t offset = 0;
  for (int i = 0; i < 200; ++i) {
    const MutableBytes space = world.log->receive_space();
    ASSERT_GE(space.size(), 66U << 10) << i;
    const auto bytes = pattern(1, offset, 1000 + static_cast<std::size_t>(i) * 250);
    std::ranges::copy(bytes, space.begin());
    ASSERT_NE(world.log->append(in_record(1, offset), space.first(bytes.size())), Lsn{}) << i;
    offset += bytes.size();
    world.settle();
  }
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(pattern(1, 0, offset)));
}

TEST(Log, SmallPiecesOfOneStreamBecomeOneRecord) {
  World world(1);
  world.start();
  for (std::uint64_t i = 0; i < 20; ++i) {
    const auto bytes = pattern(1, i * 100, 100);
    const MutableBytes space = world.log->receive_space();
    std::ranges::copy(bytes, space.begin());
    auto header = in_record(1, i * 100);
    header.extra = 5000;
    world.log->append(header, space.first(100));
    EXPECT_EQ(world.log->last_extent().offset, i * 100);
    EXPECT_EQ(world.log->last_extent().length, 100U);
  }
  world.settle();
  ASSERT_EQ(world.open(), "");
  std::size_t records = 0;
  for (const auto& seen : world.seen.records) {
    if (seen.header.type != RecordType::kIn) continue;
    ++records;
    EXPECT_EQ(seen.header.extra, 5000U);
  }
  EXPECT_EQ(records, 1U);
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(pattern(1, 0, 2000)));
}

TEST(Log, AMergedRecordKeepsTheHighestEdge) {
  World world(1);
  world.start();
  auto header = in_record(1, 0);
  header.extra = 1000;  // edge 1010
  world.log->append(header, pattern(1, 0, 10));
  header = in_record(1, 10);
  header.extra = 0;  // says 20 only
  world.log->append(header, pattern(1, 10, 10));
  world.settle();
  ASSERT_EQ(world.open(), "");
  ASSERT_EQ(world.seen.records.back().header.length, 20U);
  EXPECT_EQ(world.seen.records.back().header.extra, 990U);
}

TEST(Log, PiecesWithDifferentFlagsOrStreamsStayApart) {
  World world(1);
  world.start();
  world.put(1, 0, "a");
  world.put(2, 0, "b");
  world.put(1, 1, "c");
  world.log->append(in_record(1, 2, kFin), text("d"));
  world.settle();
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.records.size(), 5U);  // and the epoch start
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "acd");
}

TEST(Log, ACommitCarriesWhatWasConsumed) {
  World world(1);
  world.start();
  const MutableBytes space = world.log->receive_space();
  const auto bytes = text("answer");
  std::ranges::copy(bytes, space.begin());
  world.log->append(test::record(RecordType::kOut, 1, 40), space.first(bytes.size()), 123);
  world.settle();
  ASSERT_EQ(world.open(), "");
  const auto& seen = world.seen.records.back();
  EXPECT_EQ(load_le<std::uint64_t>(seen.payload.data()), 123U);
  EXPECT_EQ(to_text(data_of(seen.header, seen.payload)), "answer");
  EXPECT_EQ(seen.where.length, 6U);
  EXPECT_EQ(seen.where.offset, 40U);
}

TEST(Log, AFullPipelineLetsBatchesFill) {
  World world(1);
  world.start();
  world.disks[0]->faults.automatic = false;
  world.put(1, 0, "first");
  world.log->pump(true);
  EXPECT_EQ(world.disks[0]->pending().size(), 1U);
  world.put(1, 5, "second");
  world.log->pump(true);
  EXPECT_EQ(world.disks[0]->pending().size(), 1U) << "a partial batch waits while one is in flight";
  EXPECT_TRUE(world.log->has_unissued());
  world.disks[0]->complete_all();
  world.log->pump(true);
  EXPECT_EQ(world.disks[0]->pending().size(), 1U);
  EXPECT_FALSE(world.log->has_unissued());
}

TEST(Log, NoMoreThanTheAllowedBatchesAreInFlight) {
  World world(1);
  world.options.prepared_segments = 8;
  world.start();
  world.disks[0]->faults.automatic = false;
  const auto bytes = pattern(1, 0, 64U << 10);
  std::uint64_t offset = 0;
  while (world.log->append(in_record(1, offset), bytes) != Lsn{}) offset += bytes.size();
  world.log->pump(true);
  EXPECT_EQ(world.disks[0]->pending().size(), world.options.max_in_flight);
  EXPECT_TRUE(world.log->receive_space().empty());
  world.disks[0]->faults.automatic = true;
  world.settle();
  EXPECT_FALSE(world.log->receive_space().empty());
}

TEST(Log, ACompletionOutOfOrderCountsOnlyWithWhatIsBeforeIt) {
  World world(1);
  world.start();
  world.disks[0]->faults.automatic = false;
  const auto bytes = pattern(1, 0, 64U << 10);
  const Lsn before = world.log->durable();
  for (std::uint64_t i = 0; i < 3; ++i) world.log->append(in_record(1, i * bytes.size()), bytes);
  world.log->pump(false);
  ASSERT_EQ(world.disks[0]->pending().size(), 3U);
  world.disks[0]->complete(2);
  world.disks[0]->complete(1);
  world.log->pump(false);
  EXPECT_EQ(world.log->durable(), before);
  world.disks[0]->complete(0);
  world.log->pump(false);
  EXPECT_EQ(world.log->durable(), before + 3);
}

TEST(Log, ABarrierIsIssuedThoughItIsEmpty) {
  World world(1);
  world.start();
  const Lsn lsn = world.log->barrier();
  EXPECT_GT(lsn, world.log->durable());
  EXPECT_TRUE(world.log->has_unissued());
  world.settle();
  EXPECT_GE(world.log->durable(), lsn);
}

TEST(Log, ABarrierIsNeverABatchThatIsOnItsWay) {
  World world(1);
  world.start();
  world.disks[0]->faults.automatic = false;
  const Lsn data = world.put(1, 0, "x");
  world.log->pump(true);
  EXPECT_GT(world.log->barrier(), data);
}

TEST(Log, ClockCeilingsCountOnceStored) {
  World world(1);
  world.start();
  world.disks[0]->faults.automatic = false;
  world.log->promise_clock(5000);
  EXPECT_FALSE(world.log->has_unissued()) << "it rides on the next batch";
  world.log->barrier();
  world.log->pump(true);
  EXPECT_EQ(world.log->stored_clock_ceiling(), 0U);
  world.disks[0]->complete_all();
  world.log->pump(true);
  EXPECT_EQ(world.log->stored_clock_ceiling(), 5000U);
  world.disks[0]->faults.automatic = true;
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->stored_clock_ceiling(), 5000U);
}

TEST(Log, StreamIdsAreNeverUsedAgain) {
  World world(1);
  world.start();
  std::uint64_t highest = 0;
  for (int i = 0; i < 5; ++i) {
    const StreamId id = world.log->next_stream_id();
    EXPECT_GT(id.value, highest);
    highest = id.value;
    world.put(id.value, 0, "x");
    world.settle();
    world.crash();
    ASSERT_EQ(world.open(), "");
  }
}

TEST(Log, WrittenRangesCanBeReadBack) {
  World world(2);
  world.start();
  const auto bytes = pattern(1, 0, 100000);
  world.log->append(in_record(1, 700), bytes);
  const Extent extent = world.log->last_extent();
  std::vector<std::byte> part(500);
  ASSERT_TRUE(world.log->read(extent, 1000, part)) << "from the open batch";
  EXPECT_EQ(to_text(part), to_text(Bytes(bytes).subspan(300, 500)));
  world.settle();
  std::ranges::fill(part, std::byte{});
  ASSERT_TRUE(world.log->read(extent, 1000, part)) << "from disk";
  EXPECT_EQ(to_text(part), to_text(Bytes(bytes).subspan(300, 500)));
  world.disks[0]->flip(extent.segment, extent.position + 5000, std::byte{1});
  std::ranges::fill(part, std::byte{});
  ASSERT_TRUE(world.log->read(extent, 1000, part)) << "from the other disk";
  EXPECT_EQ(to_text(part), to_text(Bytes(bytes).subspan(300, 500)));
  world.disks[1]->flip(extent.segment, extent.position + 5000, std::byte{1});
  const auto bad = world.log->read(extent, 1000, part);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().kind, Error::Kind::kCorrupt);
  EXPECT_NE(bad.error().message.find("/disk/b"), std::string::npos) << bad.error().message;
}

TEST(Log, ACommitsRangeIsReadWithoutItsPrefix) {
  World world(1);
  world.start();
  world.log->append(test::record(RecordType::kOut, 1, 40), text("0123456789"), 7);
  const Extent extent = world.log->last_extent();
  world.settle();
  std::vector<std::byte> part(4);
  ASSERT_TRUE(world.log->read(extent, 43, part));
  EXPECT_EQ(to_text(part), "3456");
}

TEST(Log, AFailedLocationIsTakenOutAndTheRestCarryOn) {
  World world(3);
  world.start();
  world.disks[1]->faults.failing = true;
  const Lsn lsn = world.put(1, 0, "still stored");
  world.settle();
  EXPECT_EQ(world.log->durable(), lsn);
  const auto states = world.log->locations();
  EXPECT_EQ(states[1].state, LocationState::kFailed);
  EXPECT_NE(states[1].reason.find("I/O error"), std::string::npos) << states[1].reason;
  EXPECT_FALSE(world.log->quorum_lost());
  // It never counts again, though it works again.
  world.disks[1]->faults.failing = false;
  world.disks[2]->faults.failing = true;
  const Lsn next = world.put(1, 12, "not any more");
  world.settle();
  EXPECT_TRUE(world.log->quorum_lost());
  EXPECT_LT(world.log->durable(), next);
}

TEST(Log, AFailedWriteNeverCounts) {
  World world(1);
  world.start();
  world.disks[0]->faults.automatic = false;
  const Lsn lsn = world.put(1, 0, "x");
  world.log->pump(true);
  world.disks[0]->complete(0, {.kind = location::Ending::Kind::kErrorStored});
  world.log->pump(true);
  EXPECT_LT(world.log->durable(), lsn);
  EXPECT_TRUE(world.log->quorum_lost());
}

TEST(Log, DurableMeansOnAsManyLocationsAsWereAskedFor) {
  for (unsigned replicas = 1; replicas <= 4; ++replicas) {
    for (unsigned stored_on = 1; stored_on <= replicas; ++stored_on) {
      World world(replicas);
      world.options.stored_on = stored_on;
      world.start();
      for (auto& disk : world.disks) disk->faults.automatic = false;
      const Lsn lsn = world.put(1, 0, "x");
      world.log->pump(true);
      for (unsigned have = 1; have <= replicas; ++have) {
        world.disks[have - 1]->complete_all();
        world.log->pump(true);
        EXPECT_EQ(world.log->durable() >= lsn, have >= stored_on) << have << " of " << replicas << ", W " << stored_on;
      }
    }
  }
}

TEST(Log, ASlowLocationDoesNotHoldUpTheRest) {
  World world(3);
  world.options.prepared_segments = 8;
  world.start();
  world.disks[2]->faults.automatic = false;
  const auto bytes = pattern(1, 0, 64U << 10);
  std::uint64_t offset = 0;
  for (int i = 0; i < 200; ++i) {
    const Lsn lsn = world.log->append(in_record(1, offset), bytes);
    ASSERT_NE(lsn, Lsn{}) << i;
    offset += bytes.size();
    for (int k = 0; k < 5; ++k) world.log->pump(true);
    ASSERT_EQ(world.log->durable(), lsn);
  }
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kBehind);
  world.disks[2]->faults.automatic = true;
  world.settle();
  ASSERT_EQ(world.open(), "") << "and is brought up to date at the next start";
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kActive);
  std::string all;
  for (int i = 0; i < 200; ++i) all += to_text(bytes);
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), all);
}

TEST(Log, OneStuckWriteDoesNotHoldUpTheRest) {
  World world(3);
  world.options.prepared_segments = 8;
  world.start();
  world.disks[2]->faults.automatic = false;
  const auto bytes = pattern(1, 0, 20000);
  std::uint64_t offset = 0;
  for (int i = 0; i < 300; ++i) {
    const Lsn lsn = world.log->append(in_record(1, offset), bytes);
    ASSERT_NE(lsn, Lsn{}) << i;
    offset += bytes.size();
    for (int k = 0; k < 5; ++k) {
      world.log->pump(true);
      while (world.disks[2]->pending().size() > 1) world.disks[2]->complete(1);  // all but the first
    }
    ASSERT_EQ(world.log->durable(), lsn);
  }
  world.disks[2]->faults.automatic = true;
  world.settle();
}

// Else its next recovery would look at every footer again.
TEST(Log, ALocationThatIsALittleSlowerStoresItsProgressToo) {
  World world(3);
  world.start();
  ASSERT_TRUE(world.disks[2]->blobs().contains(kProgressBlob));
  const auto before = world.disks[2]->blobs().at(kProgressBlob);
  test::MemoryDisk& slower = *world.disks[2];
  slower.faults.automatic = false;
  const auto is_write = [](const location::PendingOperation& o) {
    return o.kind == location::PendingOperation::Kind::kWrite;
  };
  const auto complete_all_but_two_writes = [&] {
    for (std::size_t i = 0; i < slower.pending().size();) {
      const bool kept = is_write(slower.pending()[i]) && std::ranges::count_if(slower.pending(), is_write) <= 2;
      kept ? static_cast<void>(++i) : slower.complete(i);
    }
  };
  for (std::uint64_t i = 0; i < 18 * 16; ++i) {
    ASSERT_NE(world.put(1, i * 60000, std::string(60000, 'x')), Lsn{});
    for (int k = 0; k < 5; ++k) {
      complete_all_but_two_writes();
      world.log->pump(true);
    }
  }
  EXPECT_NE(world.disks[2]->blobs().at(kProgressBlob), before);
  world.disks[2]->faults.automatic = true;
  world.settle();
}

// One flipped bit in a record's header shifts what is read, and its payload's checksum does not know.
TEST(Log, ReadBackTrustsNoRecordHeaderThatItsBatchDoesNotVouchFor) {
  World world(1);
  world.start();
  const auto bytes = pattern(1, 0, 6000);
  world.log->append(in_record(1, 0), Bytes(bytes).first(3000));
  world.log->append(in_record(1, 3000), Bytes(bytes).subspan(3000));
  const Extent extent = world.log->last_extent();
  world.settle();
  std::vector<std::byte> got(1000);
  ASSERT_TRUE(world.log->read(extent, 4000, got));
  EXPECT_EQ(to_text(got), to_text(Bytes(bytes).subspan(4000, 1000)));
  ASSERT_EQ(world.open(), "");
  for (std::uint32_t i = 0; i < kRecordHeaderSize; ++i) {
    world.disks[0]->flip(extent.segment, extent.position + i, std::byte{8});
    EXPECT_FALSE(world.log->read(extent, 4000, got)) << i;
    world.disks[0]->flip(extent.segment, extent.position + i, std::byte{8});
  }
  EXPECT_TRUE(world.log->read(extent, 4000, got));
}

// Each of many connections has a little in every batch: what one read needs, the next one knows already.
TEST(Log, ReadingBackReadsLittleMoreThanThereIs) {
  constexpr std::uint64_t kStreams = 20, kBatches = 200, kSize = 1000;
  World world(1);
  world.options.prepared_segments = 16;
  world.start();
  std::vector<std::vector<Extent>> extents(kStreams);
  for (std::uint64_t batch = 0; batch < kBatches; ++batch) {
    for (std::uint64_t stream = 0; stream < kStreams; ++stream) {
      ASSERT_NE(world.log->append(in_record(stream + 1, batch * kSize), pattern(stream + 1, batch * kSize, kSize)),
                Lsn{});
      extents[stream].push_back(world.log->last_extent());
    }
    world.settle();
  }
  ASSERT_EQ(world.open(), "");
  const std::uint64_t before = world.disks[0]->bytes_read();
  std::vector<std::byte> got(kSize);
  for (std::uint64_t stream = 0; stream < kStreams; ++stream) {
    for (const Extent& extent : extents[stream]) {
      ASSERT_TRUE(world.log->read(extent, extent.offset, got));
      ASSERT_EQ(to_text(got), to_text(pattern(stream + 1, extent.offset, kSize)));
    }
  }
  const std::uint64_t read = world.disks[0]->bytes_read() - before;
  EXPECT_LT(read, 8 * kStreams * kBatches * kSize);
}

// A device that answers nothing but errors is not asked for every block.
TEST(Log, ReadingBackStopsAtTheFirstError) {
  World world(1);
  world.start();
  world.log->append(in_record(1, 0), pattern(1, 0, 100000));
  const Extent first = world.log->last_extent();
  world.log->append(in_record(1, 100000), pattern(1, 100000, 100));
  const Extent last = world.log->last_extent();
  ASSERT_EQ(first.segment, last.segment);
  world.settle();
  ASSERT_EQ(world.open(), "");
  world.disks[0]->faults.failing_reads = true;
  const std::uint64_t before = world.disks[0]->bytes_read();
  std::vector<std::byte> got(100);
  EXPECT_FALSE(world.log->read(last, 100000, got));
  EXPECT_LE(world.disks[0]->bytes_read() - before, 64U << 10);
}

// ---- Space ----

TEST(LogSpace, WhatIsReservedCanBeAppended) {
  World world(2);
  world.options.prepared_segments = 5;
  world.start();
  const std::uint64_t room = world.log->unreserved();
  ASSERT_GT(room, 1U << 20);
  world.log->reserve(room);
  EXPECT_EQ(world.log->unreserved(), 0U);
  for (auto& disk : world.disks) disk->faults.full = true;
  std::uint64_t offset = 0;
  while (offset < room) {
    const std::uint64_t piece = std::min<std::uint64_t>(1400, room - offset);
    ASSERT_NE(world.log->append(in_record(1, offset), pattern(1, offset, piece)), Lsn{}) << offset << " of " << room;
    world.log->unreserve(piece);
    offset += piece;
    if (offset % 64 == 0) world.settle();
  }
  world.settle();
  EXPECT_GE(world.log->durable().value + 1, world.log->open_lsn().value);
}

// Windows that are promised and never filled must leave room for those who come next.
TEST(LogSpace, RoomIsPreparedBeyondWhatIsReserved) {
  World world(1);
  world.start();
  const auto prepare = [&] {
    for (int i = 0; i < 100; ++i) world.log->pump(true);
  };
  prepare();
  const std::uint64_t usual = world.log->unreserved();
  for (int i = 0; i < 10; ++i) {
    world.log->reserve(world.log->unreserved());
    prepare();
    EXPECT_GE(world.log->unreserved(), usual / 2) << i;
  }
  // And after a restart there is room for all that.
  world.crash();
  ASSERT_EQ(world.open(), "");
  EXPECT_GE(world.log->inheritable(), 10 * usual / 2);
}

// However few and small the segments: what is reserved by some must leave something that is worth a window for others.
TEST(LogSpace, FewSmallSegmentsLeaveRoomBesideWhatIsReserved) {
  World world(1);
  world.options.segment_size = 1U << 20;
  world.options.prepared_segments = 2;
  world.options.batch_size = 512U << 10;
  world.start();
  for (int i = 0; i < 40; ++i) {
    for (int turn = 0; turn < 100; ++turn) world.log->pump(true);
    ASSERT_GE(world.log->unreserved(), 128U << 10) << i;
    world.log->reserve(64U << 10);
  }
}

// A replacement must not have to wait for segments to be made before it can stand by what was promised.
TEST(LogSpace, WhatWasPromisedFindsRoomRightAfterARestart) {
  for (unsigned prepared = 2; prepared <= 6; ++prepared) {
    World world(1);
    world.options.prepared_segments = prepared;
    world.start();
    for (int i = 0; i < 3000; ++i) world.log->pump(true);  // all are made
    const std::uint64_t promised = world.log->unreserved();
    world.log->reserve(promised);
    world.crash();
    ASSERT_EQ(world.open(), "");
    EXPECT_GE(world.log->inheritable(), promised) << prepared;
    EXPECT_LT(world.log->unreserved(), promised + (promised == 0 ? 1 : 0)) << prepared;
  }
}

TEST(LogSpace, AFullDiskLeavesNothingToReserve) {
  World world(1);
  world.start();
  world.disks[0]->faults.full = true;
  std::uint64_t offset = 0;
  const auto bytes = pattern(1, 0, 32U << 10);
  while (world.log->append(in_record(1, offset), bytes) != Lsn{}) {
    offset += bytes.size();
    world.settle();
  }
  EXPECT_TRUE(world.log->full());
  EXPECT_EQ(world.log->unreserved(), 0U);
  EXPECT_GE(world.log->durable().value + 1, world.log->open_lsn().value) << "all that was taken is stored";
  // Room appears.
  world.disks[0]->faults.full = false;
  for (int i = 0; i < 3000; ++i) world.log->pump(true);
  EXPECT_TRUE(world.log->full()) << "nobody has asked it to look again";
  world.log->retry_space();
  for (int i = 0; i < 3000; ++i) world.log->pump(true);
  EXPECT_FALSE(world.log->full());
  EXPECT_GT(world.log->unreserved(), 0U);
  EXPECT_NE(world.log->append(in_record(1, offset), bytes), Lsn{});
}

TEST(LogSpace, TheLimitOnBytesIsHonoured) {
  World world(1);
  world.options.max_bytes = 5U << 20;
  world.start();
  std::uint64_t offset = 0;
  const auto bytes = pattern(1, 0, 32U << 10);
  while (world.log->append(in_record(1, offset), bytes) != Lsn{}) {
    offset += bytes.size();
    world.settle();
  }
  EXPECT_TRUE(world.log->full());
  EXPECT_EQ(world.disks[0]->segments().size(), 5U);
}

TEST(LogSpace, AFullLocationAboveTheQuorumIsTakenOut) {
  World world(3);
  world.start();
  world.disks[2]->faults.full = true;
  std::uint64_t offset = 0;
  const auto bytes = pattern(1, 0, 32U << 10);
  for (int i = 0; i < 400; ++i) {
    ASSERT_NE(world.log->append(in_record(1, offset), bytes), Lsn{}) << i;
    offset += bytes.size();
    world.settle();
  }
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kBehind);
  EXPECT_EQ(world.log->locations()[2].reason, "no space left");
}

}  // namespace
}  // namespace holdfast::log
