// A random life of a log, against an oracle: appends, completions in any order, deaths with writes done, torn, undone
// or late, restarts on whichever locations are there. What was durable must come back; nothing may come back that was
// not written.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "log/world.h"

namespace holdfast::log {
namespace {

using location::Fate;
using location::PendingOperation;
using test::World;

class Model final : public CheckpointSource {
 public:
  Model(std::uint64_t seed, unsigned replicas, unsigned stored_on)
      : random_(seed), world_(replicas, options(stored_on), seed) {}

  void run(int lives) {
    for (int life = 0; life < lives && !testing::Test::HasFatalFailure(); ++life) {
      open(life);
      if (testing::Test::HasFailure()) return;
      live();
      die();
    }
    for (auto& disk : world_.disks) disk->faults.automatic = true;
    ASSERT_EQ(world_.open(), "");
    compare(world_.seen);
    read_all();
  }

 private:
  struct Stream {
    std::string appended;
    std::vector<std::pair<Lsn, std::size_t>> ends;  // batch, end of what it holds
    std::size_t durable = 0;
  };

  static Options options(unsigned stored_on) {
    Options o = test::small_options();
    o.stored_on = stored_on;
    o.batch_size = 16U << 10;
    o.checkpoint_every = 400U << 10;
    return o;
  }

  // A checkpoint notes how long each stream is.
  void checkpoint_begin() override { cursor_ = 0; }
  bool checkpoint_step(std::size_t) override {
    const auto at = streams_.upper_bound(cursor_);
    if (at == streams_.end()) return false;
    const RecordHeader header = test::record(RecordType::kConnection, at->first, at->second.appended.size());
    const Lsn lsn = world_.log->append(header, test::text("state"));
    if (lsn == Lsn{}) return true;
    cursor_ = at->first;
    return streams_.upper_bound(cursor_) != streams_.end();
  }
  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  void open(int life) {
    for (auto& disk : world_.disks) disk->faults.automatic = true;
    std::vector<unsigned> on;
    const unsigned replicas = static_cast<unsigned>(world_.disks.size());
    const unsigned away = life > 0 && below(2) == 0 ? static_cast<unsigned>(below(replicas)) : replicas;
    for (unsigned i = 0; i < replicas; ++i) {
      if (i != away) on.push_back(i);
    }
    std::shuffle(on.begin(), on.end(), random_);
    if (on.empty() || !world_.open(on).empty()) {
      ASSERT_TRUE(on.empty() || world_.error.kind == Error::Kind::kUnavailable) << world_.error.message;
      ASSERT_EQ(world_.open(), "") << "life " << life;
    }
    compare(world_.seen);
    world_.log->set_checkpoint_source(this);
    for (auto& disk : world_.disks) disk->faults.automatic = below(8) == 0;
  }

  void live() {
    const std::uint64_t steps = 5 + below(120);
    for (std::uint64_t i = 0; i < steps; ++i) {
      switch (below(4)) {
        case 0:
        case 1:
          append();
          break;
        case 2:
          world_.log->pump(below(2) == 0);
          break;
        default:
          complete_some();
      }
      for (auto& [id, stream] : streams_) note_durable(stream);
    }
  }

  void append() {
    const std::uint64_t id = 1 + below(4);
    Stream& stream = streams_[id];
    const std::size_t size = below(3) == 0 ? below(30000) : below(300);
    const auto bytes = test::pattern(id, stream.appended.size() + (below(2) << 40), size);
    const Lsn lsn = world_.log->append(test::in_record(id, stream.appended.size()), bytes);
    if (lsn == Lsn{}) return;
    stream.appended += test::to_text(bytes);
    stream.ends.emplace_back(lsn, stream.appended.size());
  }

  void complete_some() {
    auto& disk = world_.disks[below(world_.disks.size())];
    for (std::uint64_t n = below(6); n > 0 && !disk->pending().empty(); --n) {
      location::Ending ending;
      if (below(150) == 0) {
        ending.kind = std::array{location::Ending::Kind::kError, location::Ending::Kind::kErrorTorn,
                                 location::Ending::Kind::kErrorStored}[below(3)];
        ending.tear.scatter = random_() | 1;
      }
      disk->complete(below(disk->pending().size()), ending);
    }
    world_.log->pump(below(2) == 0);
  }

  void note_durable(Stream& stream) {
    for (const auto& [lsn, end] : stream.ends) {
      if (lsn <= world_.log->durable()) stream.durable = std::max(stream.durable, end);
    }
  }

  void die() {
    for (auto& disk : world_.disks) {
      const auto decide = [&](const PendingOperation&) {
        Fate fate;
        fate.kind = static_cast<Fate::Kind>(below(4));
        fate.tear.scatter = random_() | 1;
        if (below(2) == 0)
          fate.tear = {static_cast<std::uint32_t>(below(8)), static_cast<std::uint32_t>(below(64)), false, 0};
        return fate;
      };
      if (below(2) == 0) {
        disk->crash(decide);
      } else {
        disk->power_loss(decide);
      }
    }
    if (world_.log->durable() >= world_.log->epoch_start()) branches_.clear();
    branches_.push_back(streams_);
    world_.log.reset();
  }

  // What recovery shows is a part of what some owner appended, and reaches beyond all that was durable. Which owner:
  // the last one, or, where nothing of that one's epoch was durable, perhaps one before it whose last batches were
  // away.
  void compare(const test::Recorder& seen) {
    std::map<std::uint64_t, std::uint64_t> ends;
    for (const test::SeenRecord& record : seen.records) {
      std::uint64_t& end = ends[record.header.stream.value];
      if (record.header.type == RecordType::kConnection) end = std::max(end, record.header.offset);
      if (record.header.type == RecordType::kIn) end = std::max(end, record.header.offset + record.payload.size());
    }
    const auto branch = std::ranges::find_if(
        branches_, [&](const std::map<std::uint64_t, Stream>& streams) { return fits(streams, seen, ends); });
    ASSERT_TRUE(branch != branches_.end()) << "recovery shows what nobody appended";
    const auto durable = streams_;
    streams_ = std::map<std::uint64_t, Stream>(*branch);
    for (const auto& [id, stream] : durable) streams_.try_emplace(id);
    for (auto& [id, stream] : streams_) {
      seen.in_bytes(StreamId{id});  // without gaps
      stream.durable = durable.contains(id) ? durable.at(id).durable : 0;
      ASSERT_GE(ends[id], stream.durable) << "stream " << id << " lost durable bytes";
      stream.appended.resize(ends[id]);
      stream.ends.clear();
      // What was adopted is there for good once the new epoch has started.
      stream.ends.emplace_back(world_.log->epoch_start(), stream.appended.size());
    }
  }

  static bool fits(const std::map<std::uint64_t, Stream>& streams, const test::Recorder& seen,
                   const std::map<std::uint64_t, std::uint64_t>& ends) {
    for (const auto& [id, end] : ends) {
      if (id != 0 && (!streams.contains(id) || streams.at(id).appended.size() < end)) return false;
    }
    return std::ranges::all_of(seen.records, [&](const test::SeenRecord& record) {
      if (record.header.type != RecordType::kIn) return true;
      const std::string& appended = streams.at(record.header.stream.value).appended;
      return test::to_text(record.payload) == appended.substr(record.header.offset, record.payload.size());
    });
  }

  void read_all() {
    world_.settle();
    std::vector<std::unique_ptr<location::Location>> handles;
    std::vector<location::Location*> locations;
    for (auto& disk : world_.disks) {
      handles.push_back(std::make_unique<test::Memory>(disk));
      locations.push_back(handles.back().get());
    }
    auto reader = Reader::open(locations);
    ASSERT_TRUE(reader) << reader.error().message;
    for (const auto& [id, stream] : streams_) {
      if (stream.appended.empty()) continue;
      std::string back;
      const auto read = (*reader)->read(StreamId{id}, Direction::kIn, StreamOffset{0}, stream.appended.size(),
                                        [&](StreamOffset at, Bytes piece) {
                                          EXPECT_EQ(at.value, back.size());
                                          back += test::to_text(piece);
                                          return true;
                                        });
      ASSERT_TRUE(read) << read.error().message;
      ASSERT_EQ(back, stream.appended);
    }
  }

  std::mt19937_64 random_;
  World world_;
  std::map<std::uint64_t, Stream> streams_;
  std::vector<std::map<std::uint64_t, Stream>> branches_{1};  // what owners appended that recovery may still find
  std::uint64_t cursor_ = 0;                                  // of a running checkpoint
};

class LogModel : public testing::TestWithParam<std::pair<unsigned, unsigned>> {};

TEST_P(LogModel, WhatWasDurableComesBackAndNothingElse) {
  const auto [replicas, stored_on] = GetParam();
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Model(seed, replicas, stored_on).run(10);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Quorums, LogModel,
                         testing::Values(std::pair{1U, 1U}, std::pair{2U, 2U}, std::pair{2U, 1U}, std::pair{3U, 2U},
                                         std::pair{3U, 3U}, std::pair{3U, 1U}, std::pair{5U, 3U}),
                         [](const auto& quorum) {
                           return std::to_string(quorum.param.second) + "of" + std::to_string(quorum.param.first);
                         });

}  // namespace
}  // namespace holdfast::log
