#include "location/rados/pool_reader.h"

#include <optional>
#include <utility>

#include "location/rados/alone.h"
#include "location/rados/errors.h"
#include "location/rados/head.h"
#include "location/rados/lease.h"
#include "location/read_only.h"

namespace holdfast::location::rados {
namespace {

class PoolReader final : public ReadOnly {
 public:
  PoolReader(std::string place, std::string log, std::unique_ptr<ObjectStore> store, bool owned)
      : place_(std::move(place)), log_(std::move(log)), store_(std::move(store)) {
    if (owned) owned_ = true;
  }

  const std::string& name() const override { return place_; }

  // A head that says so may be a dead owner's: one that lives renews it, every fifth of its lease. Looked into once.
  bool has_owner() const override {
    if (!owned_) owned_ = watch();
    return *owned_;
  }

  Result<std::vector<SegmentInfo>> segments() override {
    const auto head = look();
    if (!head) return std::unexpected(head.error());
    return head->segments_in_use();
  }

  Result<void> read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) override {
    return copy_data(ask_alone(*store_, segment_read(log_, segment, offset, into.size())), into, place_, segment);
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
    return head->blob_names();
  }

 private:
  Result<Head> look(bool entries = true) const { return head_of(ask_alone(*store_, head_read(log_, entries)), place_); }

  bool watch() const {
    LeaseWatch watch;
    std::optional<std::uint64_t> renewal;
    while (true) {
      const Time asked = store_->now();
      const auto head = look(false);
      if (!head) return true;  // cannot be told
      const Time now = store_->now();
      if (watch.free(*head, asked, now)) return false;
      if (renewal && *renewal != head->owner->renewal) return true;
      renewal = head->owner->renewal;
      const Time next = now + LeaseWatch::pause(*head->owner);
      while (store_->now() < next) store_->wait(next);
    }
  }

  const std::string place_, log_;
  const std::unique_ptr<ObjectStore> store_;
  mutable std::optional<bool> owned_;
};

}  // namespace

std::unique_ptr<Location> read_pool(std::string place, std::string log, std::unique_ptr<ObjectStore> store,
                                    bool owned) {
  return std::make_unique<PoolReader>(std::move(place), std::move(log), std::move(store), owned);
}

}  // namespace holdfast::location::rados
