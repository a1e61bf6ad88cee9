// A log on disks in RAM, for tests: opens, crashes, reopens; remembers what recovery showed.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/endian.h"
#include "location/memory.h"
#include "log/log.h"
#include "log/reader.h"
#include "log/record_codec.h"

namespace holdfast::log::test {

using location::Memory;
using location::MemoryDisk;

inline std::vector<std::byte> text(const std::string& s) {
  const Bytes bytes = std::as_bytes(std::span(s));
  return {bytes.begin(), bytes.end()};
}
inline std::string to_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Payload that depends on its place, so that mixing up two places shows.
inline std::vector<std::byte> pattern(std::uint64_t stream, std::uint64_t offset, std::size_t length) {
  std::vector<std::byte> out(length);
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint64_t x = (stream * 0x9e3779b97f4a7c15ULL) ^ ((offset + i) * 0xbf58476d1ce4e5b9ULL);
    out[i] = static_cast<std::byte>(x >> 37);
  }
  return out;
}

struct SeenRecord {
  RecordHeader header;
  std::vector<std::byte> payload;
  Extent where;
};

class Recorder final : public RecordVisitor {
 public:
  void on_record(const RecordHeader& header, Bytes payload, const Extent& where) override {
    records.push_back({header, {payload.begin(), payload.end()}, where});
  }
  std::vector<SeenRecord> records;

  // The inbound bytes of a stream, which must come in order and without a gap.
  std::string in_bytes(StreamId stream) const {
    std::string all;
    for (const SeenRecord& seen : records) {
      if (seen.header.type != RecordType::kIn || seen.header.stream != stream) continue;
      if (all.empty()) base = seen.header.offset;
      EXPECT_EQ(seen.header.offset, base + all.size()) << "gap in stream " << stream.value;
      all += to_text(seen.payload);
    }
    return all;
  }
  mutable std::uint64_t base = 0;
};

inline RecordHeader in_record(std::uint64_t stream, std::uint64_t offset, std::uint8_t flags = 0) {
  RecordHeader header;
  header.type = RecordType::kIn;
  header.stream = StreamId{stream};
  header.offset = offset;
  header.flags = flags;
  return header;
}
inline RecordHeader record(RecordType type, std::uint64_t stream, std::uint64_t offset = 0) {
  RecordHeader header;
  header.type = type;
  header.stream = StreamId{stream};
  header.offset = offset;
  return header;
}

inline Options small_options() {
  Options options;
  options.segment_size = 1U << 20;
  options.batch_size = 64U << 10;
  options.prepared_segments = 3;
  return options;
}

class World {
 public:
  explicit World(unsigned replicas, Options with = small_options(), std::uint64_t seed = 1)
      : options(with), random_(seed) {
    for (unsigned i = 0; i < replicas; ++i) {
      disks.push_back(std::make_shared<MemoryDisk>("/disk/" + std::string(1, static_cast<char>('a' + i))));
    }
  }
  ~World() { log.reset(); }

  std::array<std::byte, 96> entropy() {
    std::array<std::byte, 96> bytes;
    for (std::byte& b : bytes) b = static_cast<std::byte>(random_());
    return bytes;
  }

  // On these disks (all by default). The error's message, or empty.
  std::string open(std::vector<unsigned> on = {}) {
    log.reset();
    if (on.empty()) {
      for (unsigned i = 0; i < disks.size(); ++i) on.push_back(i);
    }
    std::vector<std::unique_ptr<location::Location>> locations;
    for (const unsigned i : on) locations.push_back(std::make_unique<Memory>(disks[i]));
    seen = Recorder{};
    const auto bytes = entropy();
    auto opened = Log::open(std::move(locations), options, bytes, std::chrono::seconds(1), seen);
    if (!opened) {
      error = opened.error();
      return opened.error().message;
    }
    log = std::move(*opened);
    return {};
  }

  // Everything that can be done is done.
  void settle() {
    for (int i = 0; i < 1000 && (log->has_unissued() || log->busy()); ++i) log->pump(true);
    log->pump(true);
  }
  // And what is prepared ahead, too.
  void start() {
    ASSERT_EQ(open(), "");
    settle();
    ASSERT_GE(log->durable(), log->epoch_start());
  }

  // Dies with everything in flight undone.
  void crash() {
    for (auto& disk : disks) disk->crash([](const location::PendingOperation&) { return location::Fate{}; });
    log.reset();
  }

  Lsn put(std::uint64_t stream, std::uint64_t offset, const std::string& bytes) {
    return log->append(in_record(stream, offset), text(bytes));
  }

  Options options;
  std::vector<std::shared_ptr<MemoryDisk>> disks;
  std::unique_ptr<Log> log;
  Recorder seen;
  Error error;

 private:
  std::mt19937_64 random_;
};

}  // namespace holdfast::log::test
