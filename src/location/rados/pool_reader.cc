#include "location/rados/pool_reader.h"

#include <fmt/core.h>

#include <deque>
#include <utility>

#include "base/assert.h"
#include "location/rados/errors.h"
#include "location/rados/head.h"
#include "location/rados/lease.h"

namespace holdfast::location::rados {
namespace {

class PoolReader final : public Location {
 public:
  PoolReader(std::string place, std::string log, std::unique_ptr<ObjectStore> store)
      : place_(std::move(place)), log_(std::move(log)), store_(std::move(store)) {}

  const std::string& name() const override { return place_; }

  // A head that says so may be a dead owner's: one that lives renews it, every fifth of its lease. Looked into once.
  bool has_owner() const override {
    if (!owned_) owned_ = watch();
    return *owned_;
  }

  Result<std::vector<SegmentInfo>> segments() override {
    const auto head = look();
    if (!head) return std::unexpected(head.error());
    std::vector<SegmentInfo> segments;
    for (const auto& [number, entry] : head->segments) {
      if (entry.state == SegmentState::kMade) segments.push_back({SegmentNumber{number}, entry.size});
    }
    return segments;
  }

  Result<void> read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) override {
    ObjectRead read;
    read.object = segment_object(log_, segment);
    read.offset = offset;
    read.length = into.size();
    return copy_data(ask(read), into, place_, segment);
  }

  Result<std::optional<std::vector<std::byte>>> read_blob(const std::string& blob) override {
    const auto head = look();
    if (!head) return std::unexpected(head.error());
    const auto found = head->blobs.find(blob);
    if (found == head->blobs.end()) return std::nullopt;
    return found->second;
  }

  Result<std::vector<std::string>> blobs() override {
    const auto head = look();
    if (!head) return std::unexpected(head.error());
    std::vector<std::string> names;
    for (const auto& [blob, content] : head->blobs) names.push_back(blob);
    return names;
  }

  Result<void> lock(Duration /*bound*/) override { return std::unexpected(refusal()); }
  Result<void> write_blob(const std::string& /*blob*/, Bytes /*content*/) override {
    return std::unexpected(refusal());
  }
  Result<void> remove_blob(const std::string& /*blob*/) override { return std::unexpected(refusal()); }
  void write(Token token, SegmentNumber /*segment*/, std::uint64_t /*offset*/, Bytes /*bytes*/) override {
    refused_.push_back(token);
  }
  void prepare(Token token, SegmentNumber /*segment*/, std::uint64_t /*size*/) override { refused_.push_back(token); }
  void recycle(Token token, SegmentNumber /*from*/, SegmentNumber /*to*/) override { refused_.push_back(token); }
  void remove(Token token, SegmentNumber /*segment*/) override { refused_.push_back(token); }
  void replace_blob(Token token, const std::string& /*blob*/, Bytes /*content*/) override { refused_.push_back(token); }

  std::size_t poll(std::span<Completion> out) override {
    std::size_t count = 0;
    for (; count < out.size() && !refused_.empty(); ++count) {
      out[count] = {refused_.front(), refusal()};
      refused_.pop_front();
    }
    return count;
  }
  std::size_t in_flight() const override { return refused_.size(); }

 private:
  Finished ask(const ObjectRead& read) const {
    store_->submit(++last_tag_, read);
    while (true) {
      for (Finished& finished : store_->take()) {
        if (finished.tag == last_tag_) return std::move(finished);
      }
      store_->wait(kNever);
    }
  }

  Result<Head> look() const {
    ObjectRead read;
    read.object = head_object(log_);
    read.attributes = read.entries = true;
    const Finished finished = ask(read);
    if (finished.outcome == Outcome::kAbsent) return Head();
    if (finished.outcome != Outcome::kDone) return std::unexpected(error_of(finished, place_, "read the log's head"));
    return decode_head(finished, place_);
  }

  bool watch() const {
    LeaseWatch watch;
    std::optional<std::uint64_t> renewal;
    while (true) {
      const Time asked = store_->now();
      const auto head = look();
      if (!head) return true;  // cannot be told
      const Time now = store_->now();
      if (watch.free(*head, asked, now)) return false;
      if (renewal && *renewal != head->owner->renewal) return true;
      renewal = head->owner->renewal;
      const Time next = now + LeaseWatch::lease_of(*head->owner) / 10;
      while (store_->now() < next) store_->wait(next);
    }
  }

  Error refusal() const { return {Error::Kind::kUsage, fmt::format("{}: is open for reading only", place_)}; }

  const std::string place_, log_;
  const std::unique_ptr<ObjectStore> store_;
  mutable std::uint64_t last_tag_ = 0;
  mutable std::optional<bool> owned_;
  std::deque<Token> refused_;
};

}  // namespace

std::unique_ptr<Location> read_pool(std::string place, std::string log, std::unique_ptr<ObjectStore> store) {
  return std::make_unique<PoolReader>(std::move(place), std::move(log), std::move(store));
}

}  // namespace holdfast::location::rados
