// The oldest segments are given up: what the policy allows, no more, and never before a later start knows of it.
#include <gmock/gmock.h>

#include "log/world.h"

namespace holdfast::log::test {
namespace {

using testing::IsEmpty;

constexpr std::uint64_t kMiB = 1U << 20;

// Stream 1's connection lives: a checkpoint holds its record.
class OneConnection final : public CheckpointSource {
 public:
  explicit OneConnection(Log& log) : log_(log) {}
  void checkpoint_begin() override { written_ = false; }
  bool checkpoint_step(std::size_t) override {
    if (written_) return false;
    written_ = log_.append(record(RecordType::kConnection, 1), text("alive")) != Lsn{};
    return !written_;
  }
  SegmentNumber first_needed(SegmentNumber before) override { return std::min(before, needed); }
  SegmentNumber needed{~std::uint64_t{0}};

 private:
  Log& log_;
  bool written_ = false;
};

Options keep(std::uint64_t bytes) {
  Options options = small_options();
  options.retention.bytes = bytes;
  options.checkpoint_every = 1U << 20;
  return options;
}

class Release : public testing::Test {
 protected:
  void make(unsigned replicas, const Options& options) { world_ = std::make_unique<World>(replicas, options); }
  void start() {
    source_.reset();
    ASSERT_EQ(world_->open(), "");
    connect();
    world_->settle();
  }
  void connect() {
    source_ = std::make_unique<OneConnection>(*world_->log);
    world_->log->set_checkpoint_source(source_.get());
    world_->log->append(record(RecordType::kConnection, 1), text("alive"));
  }
  // In pieces of 32 KiB, stored as it goes.
  void write(std::uint64_t bytes) {
    for (std::uint64_t left = bytes; left > 0; left -= 32768) {
      ASSERT_NE(world_->log->append(in_record(1, written_), pattern(1, written_, 32768)), Lsn{});
      written_ += 32768;
      world_->settle();
    }
  }
  std::unique_ptr<Reader> reader(std::vector<unsigned> on = {}) {
    handles_.clear();
    std::vector<location::Location*> all;
    for (unsigned i = 0; i < world_->disks.size(); ++i) {
      if (!on.empty() && std::ranges::find(on, i) == on.end()) continue;
      handles_.push_back(std::make_unique<Memory>(world_->disks[i]));
      all.push_back(handles_.back().get());
    }
    auto opened = Reader::open(all);
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
    return opened ? std::move(*opened) : nullptr;
  }
  // What is kept of stream 1 is right, up to its end, and begins where it says. Returns its first byte.
  std::uint64_t check(std::vector<unsigned> on = {}) {
    const auto from = reader(std::move(on));
    if (!from) return 0;
    EXPECT_THAT(from->info().damage, IsEmpty());
    const auto info = from->show(StreamId{1});
    EXPECT_TRUE(info) << (info ? "" : info.error().message);
    if (!info) return 0;
    EXPECT_EQ(to_text(info->connection), "alive");
    EXPECT_GE(info->in.end.value, written_);
    std::vector<std::byte> all;
    const auto done = from->read(StreamId{1}, Direction::kIn, info->in.begin, info->in.size(), [&](auto, Bytes piece) {
      all.insert(all.end(), piece.begin(), piece.end());
      return true;
    });
    EXPECT_TRUE(done) << (done ? "" : done.error().message);
    EXPECT_TRUE(all == pattern(1, info->in.begin.value, info->in.size()));
    return info->in.begin.value;
  }
  std::size_t segments(unsigned disk) {
    Memory handle(world_->disks[disk]);
    return handle.segments()->size();
  }

  std::unique_ptr<World> world_;
  std::unique_ptr<OneConnection> source_;
  std::uint64_t written_ = 0;
  std::vector<std::unique_ptr<Memory>> handles_;
};

TEST_F(Release, EverythingIsKeptWithoutAPolicy) {
  make(1, keep(0));
  start();
  write(10 * kMiB);
  EXPECT_EQ(check(), 0U);
}

TEST_F(Release, TheOldestSegmentsGoOnceThereAreMoreBytesThanAreKept) {
  make(2, keep(4 * kMiB));
  start();
  write(20 * kMiB);
  const std::uint64_t begin = check();
  EXPECT_GE(written_ - begin, 3 * kMiB - kMiB / 2);
  EXPECT_LE(written_ - begin, 6 * kMiB);
  for (unsigned disk = 0; disk < 2; ++disk) EXPECT_LE(segments(disk), 4U + 2U + 3U + 2U);
  EXPECT_GT(world_->log->released().freed, 0U);
}

TEST_F(Release, ALogWhoseBeginIsReleasedOpensAgainAndAgain) {
  make(2, keep(4 * kMiB));
  for (int life = 0; life < 6; ++life) {
    start();
    write(5 * kMiB);
    check();
    if (life % 2 == 0) world_->crash();
  }
  world_->log.reset();
  EXPECT_GT(check(), 20 * kMiB);
}

TEST_F(Release, ATrimmedRangeIsAnErrorThatSaysSo) {
  make(1, keep(4 * kMiB));
  start();
  write(12 * kMiB);
  const std::uint64_t begin = check();
  const auto from = reader();
  const auto done = from->read(StreamId{1}, Direction::kIn, StreamOffset{5}, 10, [](auto, auto) { return true; });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message,
            "stream 1: bytes [5, 15) were trimmed: the first byte kept is " + std::to_string(begin));
}

TEST_F(Release, AReaderFollowsALogThatReleases) {
  make(1, keep(4 * kMiB));
  start();
  write(3 * kMiB);
  const auto from = reader();
  EXPECT_EQ(from->show(StreamId{1})->in.begin.value, 0U);
  write(12 * kMiB);
  ASSERT_TRUE(from->refresh());
  const auto info = from->show(StreamId{1});
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_GT(info->in.begin.value, 5 * kMiB);
  EXPECT_TRUE(
      from->read(StreamId{1}, Direction::kIn, info->in.begin, info->in.size(), [](auto, auto) { return true; }));
}

TEST_F(Release, WhatIsStillNeededStays) {
  make(1, keep(4 * kMiB));
  start();
  source_->needed = SegmentNumber{3};
  write(12 * kMiB);
  const std::uint64_t begin = check();
  EXPECT_GT(begin, 0U);
  EXPECT_LE(begin, 2 * kMiB);
  source_->needed = SegmentNumber{~std::uint64_t{0}};
  world_->log->tell_wall_clock(1);
  write(2 * kMiB);
  EXPECT_GT(check(), 5 * kMiB);
}

TEST_F(Release, SegmentsGoByTheirAge) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  Options options = keep(0);
  options.retention.age = std::chrono::seconds(10);
  options.wall_clock = 100 * kSecond;
  make(1, options);
  start();
  for (std::uint64_t i = 0; i < 12; ++i) {
    world_->log->tell_wall_clock((100 + 2 * i) * kSecond);
    write(kMiB);
  }
  EXPECT_GT(check(), 4 * kMiB);
  EXPECT_LT(check(), 8 * kMiB);
  world_->crash();
  // Their age outlives a restart.
  world_->options.wall_clock = 127 * kSecond;
  start();
  world_->log->tell_wall_clock(127 * kSecond);
  write(3 * kMiB);
  EXPECT_GT(check(), 7 * kMiB);
  EXPECT_LT(check(), 11 * kMiB);
}

TEST_F(Release, WhatIsAskedForIsReleasedAtOnce) {
  make(2, keep(0));
  start();
  write(8 * kMiB);
  const SegmentNumber to{6};
  world_->log->release_before(to);
  for (int i = 0; i < 200 && !world_->log->release_settled(); ++i) world_->settle();
  EXPECT_TRUE(world_->log->release_settled());
  EXPECT_EQ(world_->log->released().first_kept, to);
  EXPECT_GT(check(), 3 * kMiB);
  world_->crash();
  start();
  EXPECT_GT(check(), 3 * kMiB);
}

TEST_F(Release, AFullLogWithAPolicyGoesOn) {
  Options options = keep(4 * kMiB);
  options.max_bytes = 10 * kMiB;
  make(1, options);
  start();
  write(40 * kMiB);
  EXPECT_LE(segments(0), 10U);
}

// One that was away while segments were released lacks them, and that is no loss; what it still has of them goes.
TEST_F(Release, ALocationThatWasAwayGetsWhatIsKept) {
  Options options = keep(4 * kMiB);
  options.stored_on = 2;
  make(3, options);
  start();
  write(3 * kMiB);
  world_->crash();
  source_.reset();
  ASSERT_EQ(world_->open({0, 1}), "");
  connect();
  write(12 * kMiB);
  world_->crash();
  std::uint64_t told = 0;
  world_->options.on_lost_segments = [&](const std::string&, auto, auto, const std::string&) { ++told; };
  start();
  EXPECT_EQ(told, 0U);
  for (const auto& location : world_->log->locations()) EXPECT_EQ(location.state, LocationState::kActive);
  write(2 * kMiB);
  EXPECT_GT(check({1, 2}), 8 * kMiB);
  EXPECT_LE(segments(2), 4U + 2U + 3U + 2U);
}

// Nothing is lost by a death at any moment, on one disk or on two: after each the log opens, and what it keeps is
// right.
TEST_F(Release, ADeathAtAnyStepLeavesALogThatOpens) {
  for (unsigned replicas = 1; replicas <= 2; ++replicas) {
    std::mt19937_64 random(replicas);
    written_ = 0;
    make(replicas, keep(3 * kMiB));
    world_->options.prepared_segments = 2;
    start();
    std::uint64_t acknowledged = 0;
    for (int death = 0; death < 120; ++death) {
      const int pieces = static_cast<int>(random() % 60);
      for (int i = 0; i < pieces; ++i) {
        if (world_->log->append(in_record(1, written_), pattern(1, written_, 32768)) == Lsn{}) break;
        written_ += 32768;
        world_->log->pump(true);
        if (random() % 4 == 0) world_->settle();
      }
      world_->settle();
      acknowledged = written_;
      // A few more steps, of which some happen and others do not.
      const int more = static_cast<int>(random() % 40);
      for (auto& disk : world_->disks) disk->faults.automatic = false;
      for (int i = 0; i < more; ++i) {
        if (random() % 3 == 0 && world_->log->append(in_record(1, written_), pattern(1, written_, 32768)) != Lsn{}) {
          written_ += 32768;
        }
        world_->log->pump(true);
        for (auto& disk : world_->disks) {
          const auto pending = disk->pending();
          if (!pending.empty() && random() % 2 == 0) disk->complete(random() % pending.size());
        }
      }
      for (auto& disk : world_->disks) {
        disk->crash([&](const location::PendingOperation&) {
          return location::Fate{random() % 2 == 0 ? location::Fate::Kind::kDone : location::Fate::Kind::kNotDone};
        });
        disk->faults.automatic = true;
      }
      source_.reset();
      world_->log.reset();
      start();
      // Goes on where the log ends.
      const auto info = reader()->show(StreamId{1});
      ASSERT_TRUE(info) << "death " << death << ": " << info.error().message;
      ASSERT_GE(info->in.end.value, acknowledged) << "death " << death;
      written_ = info->in.end.value;
      check();
      ASSERT_FALSE(HasFailure()) << "death " << death << ", " << replicas << " disks";
    }
    EXPECT_GT(check(), 10 * kMiB);
    EXPECT_LE(written_ - check(), 8 * kMiB);
  }
}

}  // namespace
}  // namespace holdfast::log::test
