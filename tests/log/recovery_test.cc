// Opening a log: which end is chosen, what is copied, what is refused.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/crc32c.h"
#include "log/aligned_buffer.h"
#include "log/batch_codec.h"
#include "log/blocking.h"
#include "log/identity.h"
#include "log/rot.h"
#include "log/world.h"

namespace holdfast::log {
namespace {

using location::Fate;
using location::Memory;
using location::MemoryDisk;
using location::PendingOperation;
using test::in_record;
using test::pattern;
using test::text;
using test::to_text;
using test::World;

LogKey key_of(World& world, unsigned disk = 0) {
  const auto identity = decode_identity(world.disks[disk]->blobs().at(kIdentityBlob), "disk");
  EXPECT_TRUE(identity);
  return identity->key();
}

std::optional<BatchHeader> header_on(World& world, unsigned disk, BatchPosition at) {
  std::vector<std::byte> block(kBlock);
  if (!world.disks[disk]->read(at.segment, at.offset, block)) return std::nullopt;
  return decode_batch_header(block, key_of(world, disk), at);
}

// All batches in a segment of one disk, from its start.
std::vector<BatchHeader> batches_on(World& world, unsigned disk, SegmentNumber segment) {
  std::vector<BatchHeader> all;
  BatchPosition at{segment, 0};
  while (const auto header = header_on(world, disk, at)) {
    all.push_back(*header);
    at.offset = header->end();
  }
  return all;
}

SegmentNumber newest_written_segment(World& world, unsigned disk) {
  SegmentNumber newest;
  for (const auto& segment : world.disks[disk]->segments()) {
    if (header_on(world, disk, {segment.number, 0})) newest = std::max(newest, segment.number);
  }
  return newest;
}

void die_with(World& world, const std::function<Fate(unsigned disk, const PendingOperation&)>& decide) {
  for (unsigned i = 0; i < world.disks.size(); ++i) {
    world.disks[i]->crash([&](const PendingOperation& operation) { return decide(i, operation); });
  }
  world.log.reset();
}

// ---- Torn and missing tails ----

TEST(Recovery, ATornBatchIsNotAdoptedWhereverItIsTorn) {
  const auto bytes = pattern(1, 4, 9000);
  const std::uint32_t sectors = 3 * kBlock / location::kSector;
  for (std::uint32_t cut = 0; cut <= sectors; ++cut) {
    for (const bool inverted : {false, true}) {
      World world(1);
      world.start();
      world.put(1, 0, "kept");
      world.settle();
      world.disks[0]->faults.automatic = false;
      world.log->append(in_record(1, 4), bytes);
      world.log->pump(true);
      die_with(world,
               [&](unsigned, const PendingOperation&) { return Fate{Fate::Kind::kTorn, {0, cut, inverted, 0}}; });
      world.disks[0]->faults.automatic = true;
      ASSERT_EQ(world.open(), "") << cut;
      const std::string seen = world.seen.in_bytes(StreamId{1});
      // What was not written is zeros, and so is the padding: the batch counts if all of it that matters is there.
      const bool whole = inverted ? cut == 0 : cut * location::kSector >= kBatchHeaderSize + record_size(bytes.size());
      EXPECT_EQ(seen, whole ? "kept" + to_text(bytes) : "kept") << "cut " << cut << " inverted " << inverted;
    }
  }
}

TEST(Recovery, WhatLiesBehindAHoleIsNotAdopted) {
  World world(1);
  world.start();
  world.put(1, 0, "kept");
  world.settle();
  world.disks[0]->faults.automatic = false;
  const auto bytes = pattern(1, 4, 70000);
  world.log->append(in_record(1, 4), bytes);
  world.log->append(in_record(1, 70004), bytes);
  world.log->append(in_record(1, 140004), bytes);
  world.log->pump(false);
  ASSERT_EQ(world.disks[0]->pending().size(), 3U);
  world.disks[0]->complete(2);
  world.disks[0]->complete(1);
  world.crash();
  world.disks[0]->faults.automatic = true;
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "kept");
  // And it stays so, though the valid batches behind the hole are still on the disk.
  world.put(1, 4, "new");
  world.settle();
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "keptnew");
}

TEST(Recovery, AHoleAtOneLocationIsBridgedByAnother) {
  World world(2);
  world.start();
  for (auto& disk : world.disks) disk->faults.automatic = false;
  const auto bytes = pattern(1, 0, 70000);
  world.log->append(in_record(1, 0), bytes);
  world.log->append(in_record(1, 70000), bytes);
  world.log->pump(false);
  world.disks[0]->complete(0);
  world.disks[1]->complete(1);
  world.crash();
  for (auto& disk : world.disks) disk->faults.automatic = true;
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(bytes) + to_text(bytes));
}

// ---- Epochs ----

TEST(Recovery, EveryStartIsANewEpochInAFreshSegment) {
  World world(1);
  Epoch last;
  SegmentNumber segment;
  for (int i = 0; i < 4; ++i) {
    world.start();
    EXPECT_GT(world.log->epoch().counter, last.counter);
    last = world.log->epoch();
    EXPECT_GT(newest_written_segment(world, 0), segment);
    segment = newest_written_segment(world, 0);
    const auto batches = batches_on(world, 0, segment);
    EXPECT_EQ(batches.front().epoch, last);
  }
}

TEST(Recovery, AnOlderEpochsSegmentIsNeverWrittenAgain) {
  World world(1);
  world.start();
  world.put(1, 0, "old");
  world.settle();
  world.crash();
  const SegmentNumber old = newest_written_segment(world, 0);
  std::vector<std::byte> before(64U << 10), after(64U << 10);
  ASSERT_TRUE(world.disks[0]->read(old, 0, before));
  ASSERT_EQ(world.open(), "");
  world.put(1, 3, "new");
  world.settle();
  ASSERT_TRUE(world.disks[0]->read(old, 0, after));
  EXPECT_EQ(to_text(before), to_text(after));
}

// Location c goes on alone under the old epoch (its writes were on their way when the owner died) and has more batches
// than the rest.
TEST(Recovery, ALongerLogOfAnOlderEpochLoses) {
  World world(3);
  world.start();
  world.put(1, 0, "both");
  world.settle();
  for (auto& disk : world.disks) disk->faults.automatic = false;
  for (int i = 0; i < 3; ++i) {
    world.log->append(in_record(1, 4 + static_cast<std::uint64_t>(i) * 70000), pattern(9, 0, 70000));
  }
  world.log->pump(false);
  die_with(world, [](unsigned disk, const PendingOperation&) {
    return Fate{disk == 2 ? Fate::Kind::kDone : Fate::Kind::kNotDone, {}};
  });
  for (auto& disk : world.disks) disk->faults.automatic = true;
  ASSERT_EQ(world.open({0, 1}), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "both");
  world.put(1, 4, " new");
  world.settle();
  world.crash();
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "both new");
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kActive) << world.log->locations()[2].reason;
  world.put(1, 8, "er");
  world.settle();
  world.crash();
  // The one that lost serves as well as any now.
  ASSERT_EQ(world.open({2, 0}), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "both newer");
}

TEST(Recovery, LateWritesOfADeadOwnerChangeNothing) {
  World world(1);
  world.start();
  world.put(1, 0, "stored");
  world.settle();
  world.disks[0]->faults.automatic = false;
  world.put(1, 6, " late");
  world.log->pump(true);
  die_with(world, [](unsigned, const PendingOperation&) { return Fate{Fate::Kind::kLate, {}}; });
  ASSERT_EQ(world.disks[0]->late().size(), 1U);
  // Somebody starts without having waited for them (a location whose lock does not do its work).
  const auto late = world.disks[0]->late().front();
  world.disks[0]->land_late(0, false);
  world.disks[0]->faults.automatic = true;
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored");
  world.put(1, 6, " new");
  world.settle();
  world.disks[0]->overwrite(late.segment, late.offset, late.bytes);
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored new");
}

TEST(Recovery, AnEpochWhoseStartNeverLandedIsNotMissed) {
  World world(1);
  world.start();
  world.put(1, 0, "stored");
  world.settle();
  for (int i = 0; i < 3; ++i) {
    world.crash();
    ASSERT_EQ(world.open(), "");
    EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "stored");
    EXPECT_EQ(world.log->epoch().counter, static_cast<std::uint64_t>(i) + 2);
  }
}

TEST(Recovery, ThePromiseIsStoredBeforeTheTailIsTouched) {
  World world(3);
  world.start();
  world.put(1, 0, "x");
  world.settle();
  world.crash();
  int promises = 0;
  for (auto& disk : world.disks) {
    disk->faults.before_blob = [&](const std::string& blob) {
      promises += blob == kPromiseBlob ? 1 : 0;
      return location::MemoryFaults::Step::kDo;
    };
  }
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(promises, 3);
  for (auto& disk : world.disks) {
    const auto promise = decode_promise(disk->blobs().at(kPromiseBlob), "disk");
    ASSERT_TRUE(promise);
    EXPECT_EQ(promise->epoch, world.log->epoch());
  }
}

// An owner starts, and its first batch lands on a alone. The next one, which does not see a, must still get a higher
// epoch: or a's batch could win over what was acknowledged since.
TEST(Recovery, AnEpochThatWasPromisedIsNeverStartedByAnother) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    World world(3, test::small_options(), seed);
    world.start();
    world.put(1, 0, "one");
    world.settle();
    ASSERT_EQ(world.open({0, 1}), "");
    for (auto& disk : world.disks) disk->faults.automatic = false;
    for (int i = 0; i < 3; ++i) {
      world.log->pump(true);
      world.disks[0]->complete_all();
    }
    world.crash();
    for (auto& disk : world.disks) disk->faults.automatic = true;
    ASSERT_EQ(world.open({1, 2}), "");
    world.put(1, 3, " two");
    world.settle();
    ASSERT_GE(world.log->durable(), world.log->epoch_start());
    world.crash();
    ASSERT_EQ(world.open(), "");
    EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "one two") << "seed " << seed;
  }
}

TEST(Recovery, WithoutEnoughPromisesNothingStarts) {
  World world(3);
  world.start();
  world.crash();
  for (unsigned i : {0U, 1U}) {
    world.disks[i]->faults.before_blob = [](const std::string&) { return location::MemoryFaults::Step::kFail; };
  }
  EXPECT_NE(world.open(), "");
  EXPECT_EQ(world.error.kind, Error::Kind::kUnavailable);
}

TEST(Recovery, ADamagedPromiseLeadsToAMuchHigherEpoch) {
  World world(1);
  world.start();
  world.crash();
  world.disks[0]->flip_blob(kPromiseBlob, 20, std::byte{1});
  ASSERT_EQ(world.open(), "");
  EXPECT_GT(world.log->epoch().counter, 1000U);
}

// ---- Rot ----

struct Rotten {
  World world;
  SegmentNumber segment;
  std::uint64_t end = 0;
  explicit Rotten(unsigned replicas) : world(replicas) {
    world.start();
    for (int i = 0; i < 6; ++i) {
      const auto bytes = pattern(1, end, 30000);
      world.log->append(in_record(1, end), bytes);
      end += bytes.size();
      world.settle();
    }
    world.crash();
    segment = newest_written_segment(world, 0);
  }
};

// What proves that a batch was durable may lie far behind it: a whole pipeline of others that were issued before it
// was.
TEST(Recovery, RotIsToldFromTheEndBehindAllThatWasUnderWay) {
  World world(1);
  world.start();
  Lsn first;
  std::uint64_t end = 0;
  const auto put = [&] {
    const auto bytes = pattern(1, end, 60000);
    const Lsn lsn = world.log->append(in_record(1, end), bytes);
    end += bytes.size();
    world.log->pump(true);
    return lsn;
  };
  world.disks[0]->faults.automatic = false;
  first = put();
  while (world.disks[0]->pending().size() < world.options.max_in_flight) put();
  world.disks[0]->faults.automatic = true;
  world.settle();
  put();
  world.settle();
  const auto batches = batches_on(world, 0, newest_written_segment(world, 0));
  const auto rotten = std::ranges::find(batches, first, &BatchHeader::lsn);
  const auto proof = std::ranges::find_if(batches, [&](const BatchHeader& b) { return b.durable >= first; });
  ASSERT_TRUE(rotten != batches.end() && proof != batches.end());
  ASSERT_EQ(proof - rotten, world.options.max_in_flight);
  world.crash();
  world.disks[0]->zero(rotten->at.segment, rotten->at.offset, kBlock);

  Memory location(world.disks[0]);
  Source source(&location, key_of(world, 0));
  ASSERT_TRUE(source.list_segments());
  const std::uint64_t reach = rotten->size() + kBlock;  // not as far as the proof
  const auto found = check_for_rot({&source}, key_of(world, 0), rotten->at, first, reach);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, Error::Kind::kCorrupt);
}

// The newest owner's first batch, in the first block of its segment: not the end of the log before it.
TEST(Recovery, RotOfAnEpochsFirstBatchIsNoEnd) {
  for (const int how : {0, 1, 2}) {
    World world(1);
    world.start();
    world.put(1, 0, "before");
    world.settle();
    ASSERT_EQ(world.open(), "");
    world.settle();
    for (std::uint64_t i = 0; i < 20; ++i) {
      world.log->append(in_record(1, 6 + i * 30000), pattern(1, i, 30000));
      world.settle();
    }
    world.crash();
    const SegmentNumber newest = newest_written_segment(world, 0);
    if (how != 0) world.disks[0]->lose_blob(kProgressBlob);
    if (how == 0) world.disks[0]->lose_segment(newest);
    if (how == 1) world.disks[0]->flip(newest, 100, std::byte{1});
    if (how == 2) world.disks[0]->make_unreadable(newest, 0, kBlock);
    EXPECT_NE(world.open(), "") << how;
    EXPECT_EQ(world.error.kind, Error::Kind::kCorrupt) << how;
  }
}

// The last batch of all, which no later one proves: what cannot be read is no end.
TEST(Recovery, ABadSectorIsNotTakenForTheEnd) {
  for (const std::uint64_t block : {0U, 3U}) {
    for (const bool first_of_epoch : {false, true}) {
      World world(1);
      world.start();
      if (first_of_epoch) {
        world.settle();
        ASSERT_EQ(world.open(), "");
      }
      // One batch.
      world.log->append(in_record(1, 0), pattern(1, 0, 30000));
      world.settle();
      const SegmentNumber newest = newest_written_segment(world, 0);
      const BatchHeader last = batches_on(world, 0, newest).back();
      ASSERT_GT(last.size(), 4 * kBlock);
      world.crash();
      world.disks[0]->lose_blob(kProgressBlob);
      world.disks[0]->make_unreadable(newest, last.at.offset + block * kBlock, kBlock);
      EXPECT_THAT(world.open(), testing::HasSubstr("the log's end cannot be told")) << block << first_of_epoch;
      EXPECT_EQ(world.error.kind, Error::Kind::kIo);
      world.disks[0]->heal();
      ASSERT_EQ(world.open(), "");
      EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(pattern(1, 0, 30000)));
    }
  }
}

// Enough others have seen that nothing durable follows.
TEST(Recovery, ABadSectorBehindTheEndAtOneLocationOfThree) {
  World world(3);
  world.options.stored_on = 2;
  world.start();
  world.put(1, 0, "before");
  world.settle();
  const SegmentNumber newest = newest_written_segment(world, 0);
  const BatchPosition last = batches_on(world, 0, newest).back().at;
  world.crash();
  world.disks[1]->make_unreadable(newest, last.offset, kBlock);
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "before");
}

TEST(Recovery, RotAtOneLocationIsRepairedFromAnother) {
  for (unsigned bad = 0; bad < 2; ++bad) {
    Rotten rotten(2);
    World& world = rotten.world;
    world.disks[bad]->flip(rotten.segment, 40000, std::byte{4});
    ASSERT_EQ(world.open(), "");
    EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(pattern(1, 0, rotten.end)));
    world.settle();
    world.crash();
    // The repaired copy alone has it all: take the other one's away.
    world.disks[1 - bad]->zero(rotten.segment, 0, 1U << 20);
    ASSERT_EQ(world.open(), "");
    EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(pattern(1, 0, rotten.end)));
  }
}

TEST(Recovery, RotInDifferentPlacesAtAllLocationsIsRepaired) {
  Rotten rotten(2);
  World& world = rotten.world;
  world.disks[0]->flip(rotten.segment, 40000, std::byte{4});
  world.disks[1]->flip(rotten.segment, 100000, std::byte{4});
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(pattern(1, 0, rotten.end)));
}

TEST(Recovery, RotAtAllLocationsIsAnErrorThatNamesThePlace) {
  Rotten rotten(2);
  World& world = rotten.world;
  for (auto& disk : world.disks) disk->flip(rotten.segment, 40000, std::byte{4});
  const std::string message = world.open();
  EXPECT_EQ(world.error.kind, Error::Kind::kCorrupt);
  EXPECT_NE(message.find("/disk/a"), std::string::npos) << message;
  EXPECT_NE(message.find("segment " + std::to_string(rotten.segment.value)), std::string::npos) << message;
  EXPECT_NE(message.find("offset 36864"), std::string::npos) << message;
}

TEST(Recovery, ZeroedBlocksBelowTheDurableMarkAreRot) {
  for (const std::uint64_t at : {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{36864}}) {
    Rotten rotten(1);
    rotten.world.disks[0]->zero(rotten.segment, at, 8192);
    rotten.world.open();
    EXPECT_EQ(rotten.world.error.kind, Error::Kind::kCorrupt) << at;
  }
}

TEST(Recovery, ALostOrTruncatedSegmentIsCopiedAnew) {
  for (const bool lost : {true, false}) {
    Rotten rotten(2);
    World& world = rotten.world;
    if (lost) {
      world.disks[1]->lose_segment(rotten.segment);
    } else {
      world.disks[1]->truncate(rotten.segment, 50000);
    }
    ASSERT_EQ(world.open(), "");
    EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(pattern(1, 0, rotten.end)));
    EXPECT_EQ(world.log->locations()[1].state, LocationState::kActive);
    std::vector<std::byte> a(rotten.end), b(rotten.end);
    ASSERT_TRUE(world.disks[0]->read(rotten.segment, 0, a));
    ASSERT_TRUE(world.disks[1]->read(rotten.segment, 0, b));
    EXPECT_EQ(to_text(a), to_text(b));
  }
}

TEST(Recovery, UnreadableSectorsAreLikeRot) {
  Rotten rotten(2);
  World& world = rotten.world;
  world.disks[1]->make_unreadable(rotten.segment, 45056, 4096);
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(pattern(1, 0, rotten.end)));
}

// A client chose its payload so that it looks like a batch, in a segment that is recycled later: everything is right
// but the MAC.
TEST(Recovery, AForgedBatchInARecycledTailIsNotBelieved) {
  World world(1);
  world.start();
  world.put(1, 0, "true");
  world.settle();
  const SegmentNumber segment = newest_written_segment(world, 0);
  const BatchHeader last = batches_on(world, 0, segment).back();
  world.crash();

  const LogKey key = key_of(world);
  BatchHeader forged = last;
  forged.at.offset = last.end();
  forged.lsn = last.lsn + 1;
  forged.durable = last.lsn;
  forged.predecessor = last.mac;
  std::vector<std::byte> bytes(kBlock);
  RecordHeader lie = in_record(1, 4);
  lie.length = 3;
  const auto payload = text("lie");
  lie.crc = crc32c(0, payload);
  encode_record_header(lie, bytes.data() + kBatchHeaderSize);
  std::ranges::copy(payload, bytes.begin() + kBatchHeaderSize + kRecordHeaderSize);
  forged.body_length = static_cast<std::uint32_t>(record_size(3));
  forged.record_count = 1;
  LogKey guess = key;
  guess.mac.key[0] ^= std::byte{1};
  forged.body_tag = extend_body_tag(guess, 0, bytes.data() + kBatchHeaderSize);
  encode_batch_header(forged, guess, bytes.data());
  world.disks[0]->overwrite(segment, forged.at.offset, bytes);
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "true");

  // The same with the right key is believed: so it is the MAC that made the difference.
  world.crash();
  World again(1, test::small_options(), 1);
  again.start();
  again.put(1, 0, "true");
  again.settle();
  again.crash();
  forged.body_tag = extend_body_tag(key, 0, bytes.data() + kBatchHeaderSize);
  encode_batch_header(forged, key, bytes.data());
  again.disks[0]->overwrite(segment, forged.at.offset, bytes);
  ASSERT_EQ(again.open(), "");
  EXPECT_EQ(again.seen.in_bytes(StreamId{1}), "truelie");
}

TEST(Recovery, FlippedBitsNeverBringWrongBytes) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    Rotten rotten(2);
    World& world = rotten.world;
    for (auto& disk : world.disks) {
      const std::uint64_t flips = random() % 6;
      for (std::uint64_t i = 0; i < flips; ++i) {
        disk->flip(rotten.segment, random() % (220U << 10), static_cast<std::byte>(1U << (random() % 8)));
      }
      if (random() % 8 == 0) disk->zero(rotten.segment, random() % (200U << 10), random() % 20000);
    }
    const std::string message = world.open();
    if (!message.empty()) {
      EXPECT_EQ(world.error.kind, Error::Kind::kCorrupt) << message;
      continue;
    }
    const std::string seen = world.seen.in_bytes(StreamId{1});
    EXPECT_EQ(seen, to_text(pattern(1, 0, rotten.end)).substr(0, seen.size()));
    // All but the last batch were marked durable by a later one.
    EXPECT_GE(seen.size(), rotten.end - 30000) << "seed " << seed;
  }
}

// ---- Bringing locations up to date ----

TEST(Recovery, ALocationThatWasAwayIsBroughtUpToDate) {
  World world(3);
  world.start();
  std::uint64_t end = 0;
  const auto write = [&](int batches) {
    for (int i = 0; i < batches; ++i) {
      const auto bytes = pattern(1, end, 60000);
      ASSERT_NE(world.log->append(in_record(1, end), bytes), Lsn{});
      end += bytes.size();
      world.settle();
    }
  };
  write(40);
  ASSERT_EQ(world.open({0, 1}), "");
  world.settle();
  write(60);
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kActive) << world.log->locations()[2].reason;
  world.settle();
  write(2);
  world.crash();
  ASSERT_EQ(world.open({0, 2}), "") << "with the copy and one other";
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(pattern(1, 0, end)));
  world.settle();
  // Its copies of segments far back are good, too.
  std::vector<location::Location*> only;
  test::Memory handle(world.disks[2]);
  only.push_back(&handle);
  auto reader = Reader::open(only);
  ASSERT_TRUE(reader);
  std::string back;
  const auto read = (*reader)->read(StreamId{1}, Direction::kIn, StreamOffset{0}, end, [&](StreamOffset, Bytes piece) {
    back += to_text(piece);
    return true;
  });
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(back, to_text(pattern(1, 0, end)));
}

TEST(Recovery, MoreThanTheLimitIsNotCopiedAtAStart) {
  World world(3);
  world.options.copy_limit = 1U << 20;
  world.start();
  ASSERT_EQ(world.open({0, 1}), "");
  world.settle();
  std::uint64_t end = 0;
  for (int i = 0; i < 60; ++i) {
    const auto bytes = pattern(1, end, 60000);
    world.log->append(in_record(1, end), bytes);
    end += bytes.size();
    world.settle();
  }
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kBehind);
  world.put(1, end, "more");
  world.settle();
  EXPECT_GE(world.log->durable().value + 1, world.log->open_lsn().value);
  world.options.copy_limit = 1ULL << 30;
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kActive);
}

TEST(Recovery, TheAdoptedTailIsOnEnoughLocationsBeforeTheEpochStarts) {
  World world(2);
  world.start();
  for (auto& disk : world.disks) disk->faults.automatic = false;
  world.put(1, 0, "on one only");
  world.log->pump(true);
  world.disks[0]->complete_all();
  world.crash();
  for (auto& disk : world.disks) disk->faults.automatic = true;
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "on one only");
  world.crash();  // before anything of the new epoch is written
  world.disks[0]->zero(SegmentNumber{1}, 0, 1U << 20);
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), "on one only");
}

// Every blob write and every operation of a start is a moment to die at.
TEST(Recovery, DyingAtAnyStepOfAStartLosesNothing) {
  for (int step = 0; step < 40; ++step) {
    World world(3);
    world.start();
    world.put(1, 0, "durable");
    world.settle();
    // A losing branch on c, a tail on a alone.
    for (auto& disk : world.disks) disk->faults.automatic = false;
    world.put(1, 7, "+tail");
    world.log->pump(true);
    world.disks[0]->complete_all();
    world.crash();

    int left = step;
    for (auto& disk : world.disks) {
      disk->faults.automatic = false;
      disk->faults.before_blob = [&](const std::string&) {
        return left-- == 0 ? location::MemoryFaults::Step::kDieAfter : location::MemoryFaults::Step::kDo;
      };
      disk->faults.pass_time = [&, raw = disk.get()](Duration) -> Duration {
        if (left-- == 0) {
          raw->crash([](const PendingOperation&) { return Fate{Fate::Kind::kTorn, {0, 9, false, 0}}; });
        } else if (!raw->pending().empty()) {
          raw->complete(0);
        }
        return std::chrono::milliseconds(1);
      };
    }
    if (world.open().empty()) {
      for (int i = 0; i < 4; ++i) world.log->pump(true);
    }
    world.crash();
    for (auto& disk : world.disks) disk->faults = location::MemoryFaults{};
    ASSERT_EQ(world.open(), "") << "step " << step;
    const std::string seen = world.seen.in_bytes(StreamId{1});
    EXPECT_TRUE(seen == "durable" || seen == "durable+tail") << seen;
    world.settle();
    world.put(1, seen.size(), "!");
    world.settle();
    ASSERT_EQ(world.open({1, 2}), "") << "step " << step;
    EXPECT_EQ(world.seen.in_bytes(StreamId{1}), seen + "!") << "step " << step;
  }
}

// ---- Checkpoints ----

class Source final : public CheckpointSource {
 public:
  explicit Source(World& world, std::uint64_t streams) : world_(world), streams_(streams) {}
  void checkpoint_begin() override {
    ++begun;
    next_ = 1;
  }
  bool checkpoint_step(std::size_t budget) override {
    while (next_ <= streams_ && budget >= 200) {
      const auto payload = text("state of " + std::to_string(next_) + " in checkpoint " + std::to_string(begun));
      if (world_.log->append(test::record(RecordType::kConnection, next_), payload) == Lsn{}) return true;
      ++next_;
      budget -= 200;
    }
    return next_ <= streams_;
  }
  int begun = 0;

 private:
  World& world_;
  std::uint64_t streams_, next_ = 1;
};

// Of stream 1, each stored before the next; `end` moves on.
void append_batches(World& world, int count, std::uint64_t& end) {
  for (int i = 0; i < count; ++i) {
    const auto bytes = pattern(1, end, 20000);
    ASSERT_NE(world.log->append(in_record(1, end), bytes), Lsn{});
    end += bytes.size();
    world.settle();
  }
}

TEST(Checkpoint, RecoveryStartsAtTheLastCompleteOne) {
  World world(1);
  world.options.checkpoint_every = 256U << 10;
  world.start();
  Source source(world, 300);
  world.log->set_checkpoint_source(&source);
  std::uint64_t end = 0;
  append_batches(world, 200, end);
  ASSERT_GT(source.begun, 3);
  world.crash();
  ASSERT_EQ(world.open(), "");
  ASSERT_FALSE(world.seen.records.empty());
  EXPECT_EQ(world.seen.records.front().header.type, RecordType::kCheckpointBegin);
  std::uint64_t bytes = 0, states = 0;
  bool ended = false;
  for (const auto& seen : world.seen.records) {
    bytes += seen.payload.size();
    if (seen.header.type == RecordType::kCheckpointEnd) ended = true;
    if (seen.header.type == RecordType::kConnection && !ended) ++states;
  }
  EXPECT_TRUE(ended);
  EXPECT_EQ(states, 300U) << "every live connection is in it";
  EXPECT_LT(bytes, 1U << 20) << "and little else has to be read";
  const std::string seen = world.seen.in_bytes(StreamId{1});
  EXPECT_EQ(seen, to_text(pattern(1, end - seen.size(), seen.size())));
  // The next start, too, without another checkpoint having been made.
  world.settle();
  world.crash();
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), seen);
}

// Else each start beside a location that stays behind would read the whole log.
TEST(Checkpoint, WhatALocationLacksBeforeItIsKnownWithoutReadingPayload) {
  World world(3);
  world.options.checkpoint_every = 256U << 10;
  world.options.copy_limit = 0;
  world.start();
  ASSERT_EQ(world.open({0, 1}), "");
  world.settle();
  Source source(world, 10);
  world.log->set_checkpoint_source(&source);
  std::uint64_t end = 0;
  append_batches(world, 200, end);
  world.crash();
  const SegmentNumber newest = newest_written_segment(world, 0);
  unsigned old = 0;
  for (unsigned disk = 0; disk < 2; ++disk) {
    for (const auto& segment : world.disks[disk]->segments()) {
      if (segment.number + 1 >= newest || !header_on(world, disk, {segment.number, 0})) continue;
      world.disks[disk]->make_unreadable(segment.number, 2 * kBlock, 100 * kBlock);
      ++old;
    }
  }
  ASSERT_GE(old, 4U);
  ASSERT_EQ(world.open(), "");
  const auto behind = world.log->locations()[2];
  EXPECT_EQ(behind.state, LocationState::kBehind);
  EXPECT_EQ(behind.reason, "lacks 3 MiB of the log: more than is copied at a start (--copy-limit)");
  // Once it is to be copied, what cannot be read is an error, and the location no member that counts.
  world.options.copy_limit = 1ULL << 30;
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kFailed);
  for (unsigned disk = 0; disk < 2; ++disk) world.disks[disk]->heal();
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[2].state, LocationState::kActive) << world.log->locations()[2].reason;
}

// Long behind the end, where a location's own word for what it holds is believed otherwise.
TEST(Checkpoint, OldSegmentsThatVanishedAreCopiedAnew) {
  World world(2);
  world.options.checkpoint_every = 256U << 10;
  std::vector<std::string> told;
  world.options.on_lost_segments = [&](const std::string& name, std::uint64_t restored, std::uint64_t lost,
                                       const std::string& problem) {
    told.push_back(fmt::format("{} {} {} {}", name, restored, lost, problem));
  };
  world.start();
  Source source(world, 10);
  world.log->set_checkpoint_source(&source);
  std::uint64_t end = 0;
  append_batches(world, 1000, end);  // so that a progress record covers the first segments
  ASSERT_TRUE(world.disks[0]->blobs().contains(kProgressBlob));
  world.crash();
  world.disks[0]->lose_segment(SegmentNumber{2});
  world.disks[0]->truncate(SegmentNumber{3}, 4096);
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(told, std::vector<std::string>{"/disk/a 2 0 "});
  std::array<std::byte, 4096> here, there;
  for (const std::uint64_t number : {2U, 3U}) {
    for (const std::uint64_t at : {0U, 100U << 12, (1U << 20) - 4096}) {
      ASSERT_TRUE(world.disks[0]->read(SegmentNumber{number}, at, here));
      ASSERT_TRUE(world.disks[1]->read(SegmentNumber{number}, at, there));
      EXPECT_EQ(here, there) << number << " at " << at;
    }
  }
  world.crash();
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(told.size(), 1U) << "once is enough";
}

// As a file system's copy would.
void copy_disk(const MemoryDisk& from, const std::shared_ptr<MemoryDisk>& to) {
  Memory handle(to);
  ASSERT_TRUE(handle.lock(std::chrono::seconds(1)));
  for (const auto& segment : from.segments()) {
    AlignedBuffer buffer(segment.size);
    ASSERT_TRUE(from.read(segment.number, 0, buffer.bytes()));
    ASSERT_TRUE(prepare_now(handle, segment.number, segment.size));
    ASSERT_TRUE(write_now(handle, segment.number, 0, buffer.bytes()));
  }
  for (const auto& [name, content] : from.blobs()) ASSERT_TRUE(handle.write_blob(name, content));
}

void expect_same_segment(World& world, unsigned disk, unsigned like, SegmentNumber segment) {
  std::vector<std::byte> here(1U << 20), there(1U << 20);
  ASSERT_TRUE(world.disks[disk]->read(segment, 0, here));
  ASSERT_TRUE(world.disks[like]->read(segment, 0, there));
  EXPECT_TRUE(here == there) << "segment " << segment.value;
}

class LostSegments : public ::testing::Test {
 protected:
  // A log whose oldest segments are covered by every location's progress record.
  void start_and_fill(World& world, const std::vector<unsigned>& on = {}, int batches = 1000) {
    world.options.checkpoint_every = 256U << 10;
    world.options.on_lost_segments = [this](const std::string& name, std::uint64_t restored, std::uint64_t lost,
                                            const std::string& problem) {
      told.push_back(fmt::format("{} {} {} {}", name, restored, lost, problem));
    };
    ASSERT_EQ(world.open(on), "");
    world.settle();
    Source source(world, 10);
    world.log->set_checkpoint_source(&source);
    std::uint64_t end = 0;
    append_batches(world, batches, end);
    world.crash();
  }
  std::vector<std::string> told;
};

// An owner that lost wrote at one location what another one wrote elsewhere under the same number.
TEST_F(LostSegments, AreNotCopiedFromAnOwnerThatLost) {
  World world(3), loser(3, test::small_options(), 2);
  world.start();
  world.crash();
  for (unsigned i = 0; i < 3; ++i) copy_disk(*world.disks[i], loser.disks[i]);
  start_and_fill(loser, {}, 300);
  ASSERT_EQ(world.open({1, 2}), "");
  world.crash();
  start_and_fill(world, {1, 2});
  world.disks[0] = loser.disks[0];
  world.disks[0]->lose_blob(kProgressBlob);
  SegmentNumber both;
  for (const auto& segment : world.disks[0]->segments()) {
    if (header_on(world, 0, {segment.number, 0}) && header_on(world, 1, {segment.number, 0})) both = segment.number;
  }
  ASSERT_NE(header_on(world, 0, {both, 0})->epoch, header_on(world, 1, {both, 0})->epoch);
  world.disks[1]->lose_segment(both);
  world.options.copy_limit = 2U << 20;
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.log->locations()[0].state, LocationState::kBehind);
  EXPECT_EQ(told, std::vector<std::string>{"/disk/b 1 0 "});
  expect_same_segment(world, 1, 2, both);
}

TEST_F(LostSegments, AreToldWhereTheOtherCopyIsBadToo) {
  World world(2);
  start_and_fill(world);
  world.disks[0]->lose_segment(SegmentNumber{3});
  world.disks[1]->flip(SegmentNumber{3}, 100, std::byte{1});
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(told,
            std::vector<std::string>{"/disk/a 0 1 segment 3 offset 0: a stored batch cannot be read at any location"});
}

TEST_F(LostSegments, AreToldWhereTheirEpochCannotBeRead) {
  World world(2);
  start_and_fill(world);
  start_and_fill(world);
  world.disks[0]->lose_segment(SegmentNumber{3});
  for (auto& disk : world.disks) disk->flip(SegmentNumber{1}, 100, std::byte{1});
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(told,
            (std::vector<std::string>{"/disk/a 0 2 segment 1: the start of epoch 1 cannot be read at any location",
                                      "/disk/b 0 1 segment 1: the start of epoch 1 cannot be read at any location"}));
}

TEST_F(LostSegments, AreToldWhereNobodyHasThem) {
  World world(2);
  start_and_fill(world);
  start_and_fill(world);
  for (auto& disk : world.disks) disk->lose_segment(SegmentNumber{3});
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(told, (std::vector<std::string>{"/disk/a 0 1 no location has segment 3",
                                            "/disk/b 0 1 no location has segment 3"}));
}

// Somebody has removed an old epoch: that is no loss, and neither are the numbers between two epochs.
TEST_F(LostSegments, AreNotMissedInFrontOfTheOldest) {
  World world(2);
  start_and_fill(world);
  const SegmentNumber newest = newest_written_segment(world, 0);
  start_and_fill(world);
  start_and_fill(world);
  for (auto& disk : world.disks) {
    for (std::uint64_t number = 1; number <= newest.value; ++number) disk->lose_segment(SegmentNumber{number});
  }
  ASSERT_EQ(world.open(), "");
  EXPECT_TRUE(told.empty());
}

TEST_F(LostSegments, OfAFullLocationTakeNothingFromTheOthers) {
  World world(3);
  start_and_fill(world);
  for (const std::uint64_t number : {2, 3, 4}) world.disks[0]->lose_segment(SegmentNumber{number});
  for (const std::uint64_t number : {5, 6}) world.disks[1]->lose_segment(SegmentNumber{number});
  world.disks[0]->faults.full = true;
  world.options.copy_limit = 2U << 20;
  ASSERT_EQ(world.open(), "");
  ASSERT_EQ(told.size(), 2U);
  EXPECT_TRUE(told[0].starts_with("/disk/a 0 3 ")) << told[0];
  EXPECT_EQ(told[1], "/disk/b 2 0 ");
  EXPECT_EQ(world.log->locations()[0].state, LocationState::kActive);
}

// In a pool a new name is a new object.
TEST(Start, IsNotKeptFromALogWithoutRoomForItsPreparedSegments) {
  World world(1);
  world.start();
  world.put(1, 0, "stored");
  world.settle();
  world.crash();
  MemoryDisk& disk = *world.disks[0];
  const auto before = disk.segments().size();
  disk.faults.full = disk.faults.recycling_takes_room = true;
  ASSERT_EQ(world.open(), "");
  world.settle();
  EXPECT_EQ(world.log->locations()[0].state, LocationState::kActive);
  EXPECT_TRUE(world.log->full());
  EXPECT_LT(disk.segments().size(), before);
  disk.faults.full = false;
  world.log->retry_space();
  for (int i = 0; i < 100; ++i) world.log->pump(true);
  EXPECT_FALSE(world.log->full());
}

// The second of them finds no room: what follows it would stand behind a gap.
TEST(Start, KeepsThePreparedSegmentsInFrontOfTheFirstWithoutRoom) {
  World world(1);
  world.start();
  world.crash();
  MemoryDisk& disk = *world.disks[0];
  const SegmentNumber newest = disk.segments().back().number;
  disk.faults.automatic = false;
  disk.faults.recycling_takes_room = true;
  int recycled = 0;
  disk.faults.pass_time = [&](Duration) {
    if (disk.pending().empty()) return Duration::zero();
    const bool recycles = disk.pending().front().kind == PendingOperation::Kind::kRecycle;
    disk.faults.full = recycles && ++recycled == 2;
    disk.complete(0, {.kind = location::Ending::Kind::kDone});
    return Duration(1);
  };
  ASSERT_EQ(world.open(), "");
  ASSERT_GE(recycled, 3);
  EXPECT_EQ(world.log->locations()[0].state, LocationState::kActive);
  EXPECT_EQ(disk.segments().back().number, newest + 1);
}

// They were not needed for this start.
TEST_F(LostSegments, ThatCannotBeWrittenStopNoStart) {
  World world(2);
  start_and_fill(world);
  world.disks[0]->lose_segment(SegmentNumber{2});
  MemoryDisk& disk = *world.disks[0];
  disk.faults.automatic = false;
  disk.faults.pass_time = [&disk](Duration) {
    if (disk.pending().empty()) return Duration::zero();
    const PendingOperation& next = disk.pending().front();
    const bool restoring = next.kind == PendingOperation::Kind::kRecycle && next.to == SegmentNumber{2};
    disk.complete(0, {.kind = restoring ? location::Ending::Kind::kError : location::Ending::Kind::kDone});
    return Duration(1);
  };
  ASSERT_EQ(world.open(), "");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(told[0].starts_with("/disk/a 0 1 ")) << told[0];
  EXPECT_EQ(world.log->locations()[0].state, LocationState::kActive);
}

TEST(Checkpoint, AnIncompleteOneDoesNotCount) {
  World world(1);
  world.options.checkpoint_every = 128U << 10;
  world.start();
  Source source(world, 100000);  // never gets to its end
  world.log->set_checkpoint_source(&source);
  std::uint64_t end = 0;
  for (int i = 0; i < 40; ++i) {
    const auto bytes = pattern(1, end, 20000);
    world.log->append(in_record(1, end), bytes);
    end += bytes.size();
    world.log->pump(true);
  }
  ASSERT_EQ(source.begun, 1);
  world.settle();
  world.crash();
  ASSERT_EQ(world.open(), "");
  EXPECT_EQ(world.seen.in_bytes(StreamId{1}), to_text(pattern(1, 0, end)));
}

TEST(Checkpoint, IsSpreadOverBatches) {
  World world(1);
  world.options.checkpoint_every = 128U << 10;
  world.start();
  Source source(world, 1000);
  world.log->set_checkpoint_source(&source);
  const auto bytes = pattern(1, 0, 60000);
  std::uint64_t offset = 0;
  for (int i = 0; i < 4; ++i) {
    world.log->append(in_record(1, offset), bytes);
    offset += bytes.size();
    world.settle();
  }
  world.settle();
  std::map<std::uint64_t, std::uint64_t> in_batch;
  ASSERT_EQ(world.open(), "");
  for (const auto& seen : world.seen.records) {
    if (seen.header.type == RecordType::kConnection) in_batch[seen.where.position / (64U << 10)] += 200;
  }
  EXPECT_GT(in_batch.size(), 1U);
}

}  // namespace
}  // namespace holdfast::log
