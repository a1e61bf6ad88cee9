// One location as the running log sees it: its state, how far it has stored everything, which segments are ready there,
// and what waits until they are.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "location/location.h"
#include "log/batch_codec.h"
#include "log/log.h"
#include "log/quorum.h"

namespace holdfast::log {

// What a completion was for: kind in the top 8 bits, LSN or segment number, and the batch slot in the lowest 8.
enum class Operation : std::uint8_t { kWrite = 1, kPrepare = 2, kFooter = 3, kProgress = 4, kRemove = 5 };
struct TokenParts {
  Operation operation = Operation::kWrite;
  std::uint64_t number = 0;
  std::uint8_t slot = 0;
};
location::Token make_token(const TokenParts& parts);
TokenParts split_token(location::Token token);

// A segment that was there when the log began.
struct PresentSegment {
  SegmentNumber number;
  bool whole = true;  // of the log's size: may be used again
};

// How a location stands when the log begins; made by recovery.
struct ReplicaStart {
  std::unique_ptr<location::Location> location;  // null: a member that was not given
  std::string name;
  LocationState state = LocationState::kActive;
  std::string reason;
  Lsn prefix;
  SegmentNumber ready_through;  // highest segment prepared for the new epoch
  std::uint64_t segment_files = 0;
  std::vector<PresentSegment> present;  // older than the new epoch, ascending
};

class Replica {
 public:
  explicit Replica(ReplicaStart start);

  location::Location* location() const { return location_.get(); }
  const std::string& name() const { return name_; }
  bool active() const { return state_ == LocationState::kActive; }
  LocationStatus status() const { return {name_, state_, reason_, prefix_.value(), active() && full_}; }
  Lsn prefix() const { return prefix_.value(); }
  // That the location guarantees of what it has stored.
  unsigned copies() const { return location_ ? location_->copies() : 1; }

  // Counts for nothing from now on; nothing more is sent to it.
  void take_out(LocationState state, std::string reason);

  void stored(Lsn lsn) { prefix_.complete(lsn); }

  // ---- Segments ----
  SegmentNumber ready_through() const { return ready_through_; }
  bool full() const { return full_; }
  void retry_space() { retry_ = full_; }
  // Asks for one more segment where fewer than `ahead` beyond `current` are ready. Called once a pump.
  void prepare_ahead(SegmentNumber current, unsigned ahead, std::uint64_t segment_size, std::uint64_t max_bytes);
  void prepared(SegmentNumber segment, const std::optional<Error>& error);
  // Nothing of the segments in front of this one counts any more, and no write to them is on its way: they are used
  // again where segments are to be prepared, or removed.
  void release(SegmentNumber before);
  void remove_released();
  void removed();
  bool holds_before(SegmentNumber before) const { return !present_.empty() && present_.front().number < before; }
  std::uint64_t waiting() const { return released_.size() + removing_ + (reusing_ ? 1 : 0); }
  std::uint64_t freed() const { return freed_; }
  bool removing() const { return removing_ > 0; }

  // ---- Batches that wait, in LSN order: their segment is not ready here yet, or enough is on its way ----
  // So that a location that stands still keeps few buffers from the others; one across a network may need as many as
  // the log has under way.
  static constexpr unsigned kMaxSubmitted = 8;
  static constexpr unsigned kMaxSubmittedRemote = 32;
  bool may_submit(const BatchHeader& batch) const;
  void submitted() { ++submitted_; }
  void answered() { --submitted_; }
  void enqueue(std::uint8_t slot) { queue_.push_back(slot); }
  const std::vector<std::uint8_t>& queue() const { return queue_; }
  std::uint8_t dequeue();
  void clear_queue() { queue_.clear(); }

 private:
  std::unique_ptr<location::Location> location_;
  std::string name_;
  LocationState state_;
  std::string reason_;
  Prefix prefix_;
  SegmentNumber ready_through_;
  std::uint64_t segment_files_;
  std::deque<PresentSegment> present_;   // ascending
  std::deque<PresentSegment> released_;  // to be used again or removed
  std::optional<SegmentNumber> reusing_;
  unsigned removing_ = 0;
  std::uint64_t freed_ = 0;
  bool preparing_ = false;
  bool full_ = false;
  bool retry_ = false;      // one more try is due
  unsigned submitted_ = 0;  // batch writes
  std::vector<std::uint8_t> queue_;
};

}  // namespace holdfast::log
