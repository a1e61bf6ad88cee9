// Appends to the write-ahead log alone, no network: as fast as it takes them, batches of one size, so many in flight.
// The counterpart of fio's direct synchronous writes of the same size: --size is the whole batch as it is written,
// headers included; what is counted is the payload.
//
// All room is prepared before the clock starts (fio's file is written before it, too), and the run ends with it.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/measure.h"
#include "common/socket.h"
#include "location/directory.h"
#include "location/ring.h"
#include "log/log.h"

namespace holdfast::bench {
namespace {

constexpr std::uint64_t kSegment = 256ULL << 20;
constexpr std::uint32_t kLeastBatch = 4096;

struct Options {
  std::string data;
  std::uint32_t size = 512U << 10;
  unsigned depth = 4;
  double seconds = 3;
  std::uint64_t room = 2ULL << 30;
};

// Only for a log that is new.
struct NothingToRecover final : log::RecordVisitor {
  void on_record(const log::RecordHeader&, Bytes, const log::Extent&) override {}
};

template <class T>
T must(Result<T> result) {
  if (!result) die(result.error().message);
  return *std::move(result);
}

class Appender {
 public:
  explicit Appender(const Options& options) : options_(options), ring_(must(location::Ring::create())) {
    // Records that fill a batch to its last byte.
    const std::size_t body = options.size - log::kBatchHeaderSize;
    records_ = (body + kMostRecord - 1) / kMostRecord;
    if (body % (records_ * 8) != 0) die("--size: no equal records fill such a batch");
    payload_.resize(body / records_ - log::kRecordHeaderSize);
    for (std::size_t i = 0; i < payload_.size(); ++i) payload_[i] = static_cast<std::byte>((i * 2654435761U) >> 13);
    open();
    prepare_room();
  }

  void run() {
    const double cpu = cpu_seconds();
    const std::int64_t start = now_ns();
    const std::int64_t end = start + static_cast<std::int64_t>(options_.seconds * 1e9);
    const auto batch_payload = std::uint64_t{records_} * payload_.size();
    while (now_ns() < end && appended_ + batch_payload <= options_.room) {
      // One batch waits while as many as may be are in flight.
      while (waiting_.size() <= options_.depth && appended_ + batch_payload <= options_.room) append_batch();
      if (waiting_.size() <= options_.depth) break;
      ring_->wait(Duration::max());
      pump(false);
    }
    // At a segment's end a batch may be cut in two: what is left over fills no batch.
    for (pump(true); !waiting_.empty(); pump(true)) ring_->wait(Duration::max());
    const double elapsed = static_cast<double>(now_ns() - start) / 1e9;
    const auto bytes = static_cast<double>(appended_);
    fmt::print(R"({{"bytes": {}, "seconds": {:.6f}, "mb_per_s": {:.3f}, "p50_us": {:.3f}, "p99_us": {:.3f}, )"
               R"("cpu_seconds": {:.4f}, "latency": {}}})"
               "\n",
               appended_, elapsed, bytes / 1e6 / elapsed, static_cast<double>(latency_.quantile(0.5)) / 1e3,
               static_cast<double>(latency_.quantile(0.99)) / 1e3, cpu_seconds() - cpu, latency_.to_json());
  }

 private:
  static constexpr std::size_t kMostRecord = log::kMaxPayload;  // header included
  struct Waiting {
    Lsn lsn;
    std::int64_t since;
  };

  void open() {
    log::Options options;
    options.segment_size = kSegment;
    options.batch_size = options_.size;
    options.max_in_flight = options_.depth;
    // A log keeps a segment in hand and a part of the rest for records that were not announced.
    const std::uint64_t segments = options_.room * 5 / (kSegment * 4) + 4;
    options.prepared_segments = static_cast<unsigned>(segments);
    options.max_bytes = segments * kSegment;
    options.checkpoint_every = ~std::uint64_t{0};
    std::vector<std::unique_ptr<location::Location>> locations;
    locations.push_back(must(location::open_directory(options_.data, *ring_)));
    const std::array<std::byte, 96> random{};  // secrets do not matter here
    log_ = must(log::Log::open(std::move(locations), options, random, std::chrono::seconds(10), nothing_));
  }

  void prepare_room() {
    while (log_->durable() < log_->epoch_start() || !log_->full()) {
      log_->pump(true);
      if (log_->busy()) ring_->wait(std::chrono::milliseconds(100));
    }
    if (log_->unreserved() < options_.room) die("--room does not fit: is the disk full?");
    while (log_->busy()) {
      ring_->wait(Duration::max());
      log_->pump(false);
    }
    stream_ = log_->next_stream_id();
  }

  void append_batch() {
    Lsn lsn;
    for (std::size_t i = 0; i < records_; ++i) {
      log::RecordHeader header;
      header.type = log::RecordType::kIn;
      header.stream = stream_;
      header.offset = appended_;
      lsn = log_->append(header, payload_);
      if (lsn == Lsn{}) die("the log has no room");
      appended_ += payload_.size();
    }
    waiting_.push_back({lsn, now_ns()});
    pump(false);
  }

  void pump(bool flush) {
    log_->pump(flush);
    ring_->submit();
    const std::int64_t now = now_ns();
    for (; !waiting_.empty() && waiting_.front().lsn <= log_->durable(); waiting_.pop_front()) {
      latency_.add(now - waiting_.front().since);
    }
  }

  Options options_;
  std::unique_ptr<location::Ring> ring_;  // outlives the log
  NothingToRecover nothing_;
  std::unique_ptr<log::Log> log_;
  std::size_t records_ = 1;
  std::vector<std::byte> payload_;
  StreamId stream_;
  std::uint64_t appended_ = 0;
  std::deque<Waiting> waiting_;
  Histogram latency_;
};

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  CLI::App app{"Appends to a new log as fast as it can, and counts what is durable"};
  Options options;
  app.add_option("--data", options.data, "An empty directory")->required();
  app.add_option("--size", options.size, "Bytes of a batch, a multiple of 4096")
      ->capture_default_str()
      ->check(CLI::Range(kLeastBatch, 8U << 20));
  app.add_option("--depth", options.depth, "Batches in flight")->capture_default_str()->check(CLI::Range(1U, 64U));
  app.add_option("--seconds", options.seconds, "The run ends after them")->capture_default_str();
  app.add_option("--room", options.room, "The run ends after so many bytes, which are prepared before it")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (options.size % kLeastBatch != 0) die("--size must be a multiple of 4096");
  Appender(options).run();
  return 0;
}
