// A node of the simulation: life after life it takes the log, reads all of it, and appends numbered blocks; what is
// complete, with everything before it, counts as acknowledged. A small write-ahead log of its own, which relies on what
// the real one relies on: nothing older lands once it has read, and what is complete stays.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "location/pool_oracle.h"
#include "location/rados/pool.h"
#include "sim/fiber.h"

namespace holdfast::location::rados::test {

using holdfast::sim::Fiber;

inline constexpr std::uint64_t kBlocksPerSegment = 6;  // and a footer, which is written later if at all
inline constexpr std::uint64_t kFooterAt = kBlocksPerSegment * kBlock, kSegmentSize = kFooterAt + kBlock;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  bool one_in(std::uint64_t n) { return n != 0 && below(n) == 0; }
  Duration below(Duration d) { return Duration(below(static_cast<std::uint64_t>(d.count()) + 1)); }
  std::uint64_t next() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

struct NodeOptions {
  std::string identity;
  Duration lease{};
  MemoryClock clock;
  Duration think{};        // between two of its steps, at most
  unsigned in_flight = 1;  // blocks
  Duration patience{};     // with segments that do not answer when the log is taken
  unsigned releases = 0;   // gives the log back after a step, once in so many; 0: never
  unsigned removes = 0;    // likewise
  unsigned footers = 0;    // likewise
};

class Node {
 public:
  Node(std::shared_ptr<MemoryCluster> cluster, Oracle& oracle, NodeOptions options, std::uint64_t seed)
      : cluster_(std::move(cluster)), oracle_(oracle), options_(std::move(options)), random_(seed) {}

  // ---- For the world ----

  bool running() const { return fiber_ && !fiber_->ended(); }
  void start(std::uint64_t life) {
    life_ = life;
    killed_ = false;
    sleeps_until_ = cluster_->now();
    fiber_ = std::make_unique<Fiber>([this] { live(); });
  }
  // Its process dies at once; what it has sent is on its way.
  void kill() {
    if (!running()) return;
    killed_ = true;
    paused_until_ = Time{};
    if (store_ != nullptr) cluster_->kill(store_->client());
    while (running()) fiber_->resume();
  }
  // It does not give the log back by itself any more.
  void stay() { stays_ = true; }
  void pause_until(Time when) { paused_until_ = when; }
  // When it goes on, unless something comes for it before.
  Time wakes_at() const {
    if (!running()) return kNever;
    const Time when = store_ != nullptr && store_->ready() ? cluster_->now() : sleeps_until_;
    return std::max(when, paused_until_);
  }
  void resume() { fiber_->resume(); }
  // What the world ends on: how much this life has acknowledged.
  std::uint64_t acknowledged() const { return acknowledged_; }
  std::string problem;  // what ended its last life

 private:
  void sleep_until(Time when) {
    sleeps_until_ = when;
    fiber_->pause();
  }

  void live() {
    acknowledged_ = 0;
    auto store = std::make_unique<MemoryStore>(cluster_, options_.clock, [this](Time until) { sleep_until(until); });
    store_ = store.get();
    Self self{options_.identity, "host-" + options_.identity, life_, "", options_.lease, ""};
    {
      Pool pool("memory", "log", std::make_unique<SettledRule>(std::move(store), oracle_), std::move(self));
      pool.set_patience({.bound = options_.patience, .over = {}, .tell = {}});
      pool_ = &pool;
      if (lock() && read_all()) append();
    }
    store_ = nullptr;
    pool_ = nullptr;
  }

  bool lock() {
    while (!killed_) {
      const auto locked = pool_->lock(random_.below(3 * options_.lease));
      if (killed_) return false;
      if (locked) break;
      problem = locked.error().message;
      if (locked.error().kind != Error::Kind::kBusy) return false;
    }
    return !killed_;
  }

  // ---- Reading ----

  bool read_all() {
    const auto segments = pool_->segments();
    epoch_ = pool_->head().epoch;
    oracle_.fenced(epoch_, *segments);
    owned_segments_.clear();
    std::vector<BlockHeader> log;
    std::uint64_t first = 0;
    std::optional<BlockHeader> last;
    next_segment_ = 1;
    for (const SegmentInfo& segment : *segments) {
      next_segment_ = std::max(next_segment_, segment.number.value + 1);
      std::vector<std::byte> bytes(segment.size);
      if (auto read = pool_->read(segment.number, 0, bytes); !read) {
        problem = read.error().message;
        return false;
      }
      std::uint64_t highest = 0;
      const auto footer = header_of(Bytes(bytes).subspan(std::min<std::size_t>(kFooterAt, bytes.size())));
      oracle_.footer_found(epoch_, segment.number, footer);
      for (std::uint64_t offset = 0; offset < std::min(bytes.size(), kFooterAt); offset += kBlock) {
        const auto block = header_of(Bytes(bytes).subspan(offset));
        if (!block || block->segment != segment.number.value || block->offset != offset) break;
        if (block->sequence == 0 && (!last || block->epoch > last->epoch)) {
          if (!log.empty() && block->position > first + log.size()) {
            oracle_.fail(fmt::format("epoch {} began at {}, which is not there", block->epoch, block->position));
          }
          log.resize(block->position > first ? std::min(log.size(), block->position - first) : 0);
          if (log.empty()) first = block->position;
        } else if (!last && block->sequence > 0) {  // what was before is removed
          first = block->position;
          log.push_back(*block);
        } else if (last && block->epoch == last->epoch && block->life == last->life &&
                   block->sequence == last->sequence + 1) {
          log.push_back(*block);
        } else {
          break;
        }
        last = *block;
        highest = block->position + 1;
      }
      owned_segments_.push_back({segment.number, highest, 0});
    }
    if (killed_) return false;
    oracle_.found(epoch_, first, log);
    const auto blob = pool_->read_blob("progress");
    if (blob && *blob) {
      std::uint64_t value = 0;
      std::memcpy(&value, (*blob)->data(), sizeof value);
      oracle_.blob_found(epoch_, value);
    } else {
      oracle_.blob_found(epoch_, 0);
    }
    position_ = first + log.size();
    return true;
  }

  // ---- Writing ----

  enum class What : std::uint8_t { kBlock, kPrepare, kRemove, kBlob, kFooter };
  struct Operation {
    What what = What::kBlock;
    bool done = false;
    std::unique_ptr<Block> block;
    SegmentNumber segment{};
    std::uint64_t blob = 0;
  };

  void append() {
    operations_.clear();
    footers_.clear();
    blocks_.clear();
    ready_.clear();
    preparing_ = 0;
    sequence_ = 0;
    segment_ = SegmentNumber{};
    offset_ = kBlocksPerSegment;
    blobs_ = 0;
    removing_ = false;
    const std::uint64_t epoch = epoch_;
    const auto promise = pool_->write_blob("promise", std::as_bytes(std::span(&epoch, 1)));
    if (!promise) {
      problem = promise.error().message;
      return;
    }
    Time acts_at = cluster_->now();
    while (!killed_ && poll()) {
      if (cluster_->now() >= acts_at) {
        if (!stays_ && random_.one_in(options_.releases)) return;
        act();
        acts_at = cluster_->now() + random_.below(options_.think);
      }
      const Time next = std::min(acts_at, store_->wakes_at());
      if (!store_->ready() && next > cluster_->now()) sleep_until(next);
    }
  }

  // False after an error: the location is failed.
  bool poll() {
    std::array<Completion, 16> completions;
    const std::size_t count = pool_->poll(completions);
    for (const Completion& completion : std::span(completions).first(count)) {
      if (killed_) return false;
      Operation& operation = operations_.at(completion.token);
      if (completion.error) {
        problem = completion.error->message;
        if (operation.what != What::kPrepare || completion.error->kind != Error::Kind::kFull) return false;
        --preparing_;  // later once more, under another number
        operations_.erase(completion.token);
        continue;
      }
      operation.done = true;
      if (operation.what == What::kPrepare) {
        --preparing_;
        ready_.push_back(operation.segment);
        std::ranges::sort(ready_);
      } else if (operation.what == What::kRemove) {
        removing_ = false;
      } else if (operation.what == What::kBlob) {
        oracle_.blob_stored(epoch_, operation.blob);
      } else if (operation.what == What::kFooter) {
        oracle_.footer_stored(operation.block->header);
        footers_.erase(operation.segment.value);
      }
      if (operation.what != What::kBlock) operations_.erase(completion.token);
    }
    while (!blocks_.empty() && operations_.at(blocks_.front()).done) {
      const BlockHeader& block = operations_.at(blocks_.front()).block->header;
      oracle_.acknowledge(block);
      ++acknowledged_;
      acknowledged_to_ = block.position + (block.sequence == 0 ? 0 : 1);
      operations_.erase(blocks_.front());
      blocks_.pop_front();
    }
    return true;
  }

  void act() {
    if (ready_.size() + preparing_ < 2) {
      Operation& operation = begin(What::kPrepare);
      operation.segment = SegmentNumber{next_segment_++};
      ++preparing_;
      pool_->prepare(token_, operation.segment, kSegmentSize);
    }
    if (blocks_.size() < options_.in_flight) write();
    if (random_.one_in(8)) {
      Operation& operation = begin(What::kBlob);
      operation.blob = epoch_ << 32 | ++blobs_;
      pool_->replace_blob(token_, "progress", std::as_bytes(std::span(&operation.blob, 1)));
    }
    if (random_.one_in(options_.removes)) remove_oldest();
    if (random_.one_in(options_.footers)) write_footer();
    if (!ready_.empty() && random_.one_in(8)) recycle_unused();
  }

  void write() {
    if (offset_ == kBlocksPerSegment) {
      // In rising order, as the reader goes; one that was ready too late stays empty.
      while (!ready_.empty() && ready_.front() < segment_) ready_.pop_front();
      if (ready_.empty()) return;
      segment_ = ready_.front();
      ready_.pop_front();
      offset_ = 0;
      owned_segments_.push_back({segment_, 0, 0});
    }
    Operation& operation = begin(What::kBlock);
    operation.block = std::make_unique<Block>();
    BlockHeader& header = operation.block->header;
    header.epoch = epoch_;
    header.life = life_;
    header.sequence = sequence_++;
    header.position = header.sequence == 0 ? position_ : position_++;
    header.segment = segment_.value;
    header.offset = offset_++ * kBlock;
    header.nonce = random_.next();
    owned_segments_.back().end = position_;
    oracle_.will_write(header);
    blocks_.push_back(token_);
    pool_->write(token_, segment_, header.offset, std::as_bytes(std::span(operation.block.get(), 1)));
  }

  // Once all that is in it counts, and never the one that is written to.
  void remove_oldest() {
    if (removing_ || acknowledged_ == 0 || owned_segments_.size() < 4) return;
    const auto oldest = owned_segments_.front();
    if (oldest.end > acknowledged_to_ || footers_.contains(oldest.number.value)) return;
    owned_segments_.pop_front();
    removing_ = true;
    oracle_.trim(oldest.end);
    begin(What::kRemove);
    pool_->remove(token_, oldest.number);
  }

  // Long after the segment's blocks, or an older owner's: no place is written to twice in an epoch.
  void write_footer() {
    if (owned_segments_.size() < 2) return;
    auto& segment = owned_segments_[random_.below(owned_segments_.size() - 1)];
    if (segment.footer_of == epoch_) return;
    segment.footer_of = epoch_;
    footers_.insert(segment.number.value);
    Operation& operation = begin(What::kFooter);
    operation.segment = segment.number;
    operation.block = std::make_unique<Block>();
    BlockHeader& header = operation.block->header;
    header.epoch = epoch_;
    header.life = life_;
    header.segment = segment.number.value;
    header.offset = kFooterAt;
    header.nonce = random_.next();
    oracle_.will_write(header);
    pool_->write(token_, segment.number, kFooterAt, std::as_bytes(std::span(operation.block.get(), 1)));
  }

  // Nothing in it counts: its old number may be found again.
  void recycle_unused() {
    const SegmentNumber unused = ready_.back();
    ready_.pop_back();
    Operation& operation = begin(What::kPrepare);
    operation.segment = SegmentNumber{next_segment_++};
    ++preparing_;
    pool_->recycle(token_, unused, operation.segment);
  }

  Operation& begin(What what) {
    Operation& operation = operations_[++token_];
    operation.what = what;
    return operation;
  }

  const std::shared_ptr<MemoryCluster> cluster_;
  Oracle& oracle_;
  const NodeOptions options_;
  Random random_;
  std::unique_ptr<Fiber> fiber_;
  MemoryStore* store_ = nullptr;
  Pool* pool_ = nullptr;
  std::uint64_t life_ = 0;
  bool killed_ = false, stays_ = false;
  Time sleeps_until_{}, paused_until_{};

  struct OwnedSegment {
    SegmentNumber number;
    std::uint64_t end = 0;        // of the positions in it
    std::uint64_t footer_of = 0;  // the epoch that has written it last, of this life's
  };
  std::deque<OwnedSegment> owned_segments_;  // all but those that are ready
  std::uint64_t epoch_ = 0, next_segment_ = 1, position_ = 0, sequence_ = 0, offset_ = 0, blobs_ = 0;
  std::uint64_t acknowledged_ = 0, acknowledged_to_ = 0;
  SegmentNumber segment_{};
  std::deque<SegmentNumber> ready_;
  unsigned preparing_ = 0;
  bool removing_ = false;
  Token token_ = 0;
  std::map<Token, Operation> operations_;
  std::set<std::uint64_t> footers_;  // on their way, by segment
  std::deque<Token> blocks_;         // in the order of the log
};

}  // namespace holdfast::location::rados::test
