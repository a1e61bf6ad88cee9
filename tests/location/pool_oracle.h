// What must hold for a log in a pool, whatever its owners, their clocks and the cluster do. Looks on from above: sees
// what every node acknowledges and finds, and what the cluster executes.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "location/location.h"
#include "location/rados/head.h"
#include "location/rados/memory_store.h"

namespace holdfast::location::rados::test {

// What the nodes of the simulation write: numbered blocks that say who wrote them, and where.
struct BlockHeader {
  static constexpr std::uint64_t kMagic = 0x6b636f6c426d6953;
  std::uint64_t magic = kMagic;
  std::uint64_t epoch = 0, life = 0;
  std::uint64_t sequence = 0;  // in its epoch; 0 is its start
  std::uint64_t position = 0;  // in the whole log; of a start: the next one's
  std::uint64_t segment = 0, offset = 0;
  std::uint64_t nonce = 0;
  bool operator==(const BlockHeader&) const = default;
};

struct alignas(8) Block {
  BlockHeader header;
  std::byte rest[kBlock - sizeof(BlockHeader)] = {};
};
static_assert(sizeof(Block) == kBlock);

inline std::optional<BlockHeader> header_of(Bytes bytes) {
  BlockHeader header;
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header.magic == BlockHeader::kMagic ? std::optional(header) : std::nullopt;
}

class Oracle {
 public:
  Oracle(const MemoryCluster& cluster, Duration lease) : cluster_(cluster), lease_(lease) {}

  const std::string& failure() const { return failure_; }
  std::uint64_t acknowledged() const { return acknowledged_.size(); }
  std::uint64_t owners() const { return owners_; }
  void fail(const std::string& what) {
    if (failure_.empty()) {
      failure_ = fmt::format("at {} ms: {}", cluster_.now().time_since_epoch() / std::chrono::milliseconds(1), what);
    }
  }

  // ---- Nodes ----

  void will_write(const BlockHeader& block) { written_[block.nonce] = block; }

  void acknowledge(const BlockHeader& block) {
    if (block.sequence == 0) return;
    const auto [at, first] = acknowledged_.emplace(block.position, block);
    if (!first) {
      fail(fmt::format("position {} is acknowledged by life {} of epoch {} and by life {} of epoch {}", block.position,
                       at->second.life, at->second.epoch, block.life, block.epoch));
    }
    // Neither clock is off by more than 3 in 100.
    const Duration since = cluster_.now() - renewed_[block.epoch];
    if (since > lease_ * 93 / 100) {
      fail(fmt::format("epoch {} acknowledges {} ms after its last renewal, with a lease of {} ms", block.epoch,
                       since / std::chrono::milliseconds(1), lease_ / std::chrono::milliseconds(1)));
    }
  }

  // The log is taken: from now on nothing of an older owner's lands in these, nor in those that it makes.
  void fenced(std::uint64_t epoch, const std::vector<SegmentInfo>& segments) {
    ++owners_;
    // It has lost the log already, and does not know: what it found may be removed by now.
    if (std::ranges::any_of(taken_, [&](const auto& taken) { return taken.second > epoch; })) return;
    // It knows each segment that an older owner has brought into use.
    for (const auto& [object, fence] : fence_) {
      const auto is_it = [&](const SegmentInfo& segment) { return segment_object("log", segment.number) == object; };
      if (fence < epoch && std::ranges::none_of(segments, is_it)) {
        fail(fmt::format("epoch {} does not know {}, which epoch {} has in use", epoch, object, fence));
      }
    }
    for (const SegmentInfo& segment : segments) fence_[segment_object("log", segment.number)] = epoch;
  }

  // What a new owner has found, from the position `first` on.
  void found(std::uint64_t epoch, std::uint64_t first, const std::vector<BlockHeader>& log) {
    for (std::size_t i = 0; i < log.size(); ++i) {
      const auto written = written_.find(log[i].nonce);
      if (written == written_.end() || written->second != log[i] || log[i].position != first + i) {
        fail(fmt::format("epoch {} finds at position {} what nobody wrote there", epoch, first + i));
      }
    }
    for (auto at = acknowledged_.lower_bound(trimmed_); at != acknowledged_.end(); ++at) {
      const auto& [position, block] = *at;
      if (block.epoch >= epoch) continue;  // has taken the log from this one, which may not know yet
      if (position < first || position >= first + log.size()) {
        fail(fmt::format("epoch {} does not find position {}, which epoch {} acknowledged: it finds {} to {}", epoch,
                         position, block.epoch, first, first + log.size()));
      } else if (log[position - first] != block) {
        fail(fmt::format("epoch {} finds another block at position {}, which epoch {} acknowledged", epoch, position,
                         block.epoch));
      }
    }
  }

  void footer_stored(const BlockHeader& footer) { footers_[footer.segment] = footer; }
  void footer_found(std::uint64_t epoch, SegmentNumber segment, const std::optional<BlockHeader>& found) {
    if (found && (!written_.contains(found->nonce) || written_[found->nonce] != *found)) {
      fail(fmt::format("epoch {} finds a footer in segment {} that nobody wrote there", epoch, segment.value));
    }
    const auto stored = footers_.find(segment.value);
    if (stored == footers_.end() || stored->second.epoch >= epoch) return;
    if (!found || found->epoch < stored->second.epoch) {
      fail(fmt::format("epoch {} does not find the footer of segment {} that epoch {} stored", epoch, segment.value,
                       stored->second.epoch));
    }
  }

  // What lies below is removed.
  void trim(std::uint64_t position) { trimmed_ = std::max(trimmed_, position); }

  // Values rise, over all owners.
  void blob_stored(std::uint64_t epoch, std::uint64_t value) {
    std::uint64_t& stored = blobs_[epoch];
    stored = std::max(stored, value);
  }
  void blob_found(std::uint64_t epoch, std::uint64_t value) {
    for (const auto& [other, stored] : blobs_) {
      if (other < epoch && value < stored) {
        fail(fmt::format("epoch {} finds blob {:x}, epoch {} stored {:x}", epoch, value, other, stored));
      }
    }
  }

  // ---- The cluster ----

  void executed(const MemoryOperation& operation, Outcome outcome) {
    if (outcome != Outcome::kDone || operation.write == nullptr) return;
    const ObjectWrite& write = *operation.write;
    for (const auto& [name, value] : write.attributes) {
      if (write.object == head_object("log") && name == kAttributeEpoch) taken_[operation.client] = std::stoull(value);
    }
    owner_written(write);
    if (std::ranges::any_of(write.attributes, [](const auto& a) { return a.first == kAttributeOwner; })) {
      Time& renewed = renewed_[taken_[operation.client]];
      renewed = std::max(renewed, operation.submitted);
    }
    const std::uint64_t epoch = taken_[operation.client];
    // What it brings may be there already: what is done again after a time-out is done twice where the first attempt
    // was on its way still. That changes nothing, whoever has the segment.
    std::optional<BlockHeader> block = header_of(write.data), before;
    if (write.clear || write.remove || write.existence == ObjectWrite::Existence::kNew) contents_.erase(write.object);
    if (block) before = std::exchange(contents_[write.object][write.offset], *block);
    // A segment is somebody's from when the head says that it is in use until it is about to be removed, or the head
    // says so no more (one for which there was no room in the end).
    for (const std::string& key : write.dropped_entries) {
      if (key.starts_with("segment-")) fence_.erase("log." + key);
    }
    for (const auto& [key, value] : write.entries) {
      if (!key.starts_with("segment-")) continue;
      const auto state = static_cast<SegmentState>(value.at(0));
      if (state == SegmentState::kMade || state == SegmentState::kAtRest) {
        std::uint64_t& fence = fence_["log." + key];
        fence = std::max(fence, epoch);
      } else {
        fence_.erase("log." + key);
      }
    }
    const auto fence = fence_.find(write.object);
    if (fence == fence_.end() || epoch >= fence->second) return;
    if (write.data.empty() && !write.clear && !write.remove) return;
    if (block && before == block && !write.clear && !write.remove) return;
    fail(fmt::format("a {} of epoch {} lands in {}, which epoch {} has taken",
                     write.remove  ? "removal"
                     : write.clear ? "making"
                                   : "write",
                     epoch, write.object, fence->second));
  }

 private:
  // An owner that renews in time keeps the log, however late a take arrives: nobody else takes it sooner than a lease
  // after a renewal has come through. No clock is off by more than 3 in 100.
  void owner_written(const ObjectWrite& write) {
    const auto attribute = [&](const char* wanted) {
      const auto found = std::ranges::find_if(write.attributes, [&](const auto& a) { return a.first == wanted; });
      return found == write.attributes.end() ? std::string() : found->second;
    };
    const std::string owner = attribute(kAttributeOwner), epoch = attribute(kAttributeEpoch);
    if (write.object != head_object("log") || owner.empty()) return;
    const std::string node = owner.substr(0, owner.find("\nhost="));  // state and identity
    const Duration since = cluster_.now() - owner_renewed_;
    if (!epoch.empty() && owner_.starts_with("state=active") && owner_ != node && since < lease_ * 96 / 100) {
      fail(fmt::format("epoch {} takes the log {} ms after its owner has renewed, whose lease is {} ms",
                       std::stoull(epoch), since / std::chrono::milliseconds(1),
                       lease_ / std::chrono::milliseconds(1)));
    }
    owner_ = node;
    owner_renewed_ = cluster_.now();
  }

  const MemoryCluster& cluster_;
  const Duration lease_;
  std::string failure_;
  std::string owner_;                                  // the head's: state and identity
  Time owner_renewed_{};                               // when that was written
  std::map<std::uint64_t, BlockHeader> written_;       // by nonce
  std::map<std::uint64_t, BlockHeader> acknowledged_;  // by position
  std::map<std::uint64_t, BlockHeader> footers_;       // by segment: the one that was stored last
  // As the cluster has it, by object and offset.
  std::map<std::string, std::map<std::uint64_t, BlockHeader>> contents_;
  std::map<std::string, std::uint64_t> fence_;    // object: the latest owner that has taken it
  std::map<std::uint64_t, std::uint64_t> taken_;  // client: the latest epoch that it has written
  std::map<std::uint64_t, Time> renewed_;         // epoch: when the latest renewal to arrive was begun
  std::map<std::uint64_t, std::uint64_t> blobs_;  // by epoch
  std::uint64_t trimmed_ = 0, owners_ = 0;
};

// Between a pool and its store: after a time-out nothing new is begun before what was unknown is known.
class SettledRule final : public ObjectStore {
 public:
  SettledRule(std::unique_ptr<MemoryStore> store, Oracle& oracle) : store_(std::move(store)), oracle_(oracle) {}

  void submit(std::uint64_t tag, const ObjectWrite& write) override {
    if (write.object == head_object("log") &&
        write.attributes.size() >= 2) {  // the log is taken: all before is given up
      unknown_.clear();
      fresh_.clear();
    }
    if (is_settled(tag) && begun_.insert(tag).second && !unknown_.empty()) {
      oracle_.fail(fmt::format("a write to {} is begun before it is known what became of another", write.object));
    }
    store_->submit(tag, write);
  }
  void submit(std::uint64_t tag, const ObjectRead& read) override { store_->submit(tag, read); }
  std::vector<Finished> take() override {
    unknown_.merge(std::exchange(fresh_, {}));
    auto all = store_->take();
    for (const Finished& finished : all) {
      if (!is_settled(finished.tag)) continue;
      if (finished.outcome == Outcome::kUnknown) {
        fresh_.insert(finished.tag);
      } else {
        unknown_.erase(finished.tag);
      }
    }
    return all;
  }
  void wait(Time until) override { store_->wait(until); }
  Time now() const override { return store_->now(); }
  void wake_at(Time when) override { store_->wake_at(when); }
  std::string client_address() const override { return store_->client_address(); }
  void shut_out(const std::string& client) override { store_->shut_out(client); }
  void notify(const std::string& object) override { store_->notify(object); }
  void look_at(const std::string& object, const std::string& as) override { store_->look_at(object, as); }
  void ask_lookers(std::uint64_t tag, const std::string& object) override { store_->ask_lookers(tag, object); }
  bool notified() override { return store_->notified(); }

 private:
  // Tags of settled writes, as pool.h has them; renewals and what is asked for once are no such writes.
  static bool is_settled(std::uint64_t tag) { return (tag & 7U) == 1; }

  const std::unique_ptr<MemoryStore> store_;
  Oracle& oracle_;
  std::set<std::uint64_t> begun_, unknown_;
  std::set<std::uint64_t> fresh_;  // which the pool may not have come to yet
};

}  // namespace holdfast::location::rados::test
