// Segments ahead of the one being written, and what may be promised from them.
#include <algorithm>
#include <array>

#include "base/assert.h"
#include "log/write_ahead_log.h"

namespace holdfast::log {
namespace {

constexpr std::uint64_t kProgressEvery = 16;       // segments between two progress records
constexpr std::uint64_t kProgressLag = 4;          // batches: a location that is a little slower keeps up too
constexpr std::uint64_t kKeptPart = 16;            // one part in so many of the room is for small records
constexpr std::uint64_t kMostReserved = 1U << 16;  // segments
constexpr std::uint64_t kLeastFree = 256U << 10;   // bytes, for windows that are to grow

}  // namespace

// What is reserved lies ahead of what is kept ready for whoever comes next: else some thousand windows that nobody
// fills would leave none for the others.
unsigned WriteAheadLog::segments_ahead() const {
  const std::uint64_t payload = SegmentCursor::payload_per_segment(key_.segment_size);
  // To the nearest: a few windows are no reason to make another segment.
  const std::uint64_t reserved = (reserved_ + reserved_ / kKeptPart + payload / 2) / payload;
  // But where segments are few and small, what is left beside all that is kept must still be of use to somebody.
  const std::uint64_t used = payload + options_.batch_size + reserved_ + kLeastFree;  // as unreserved() counts
  const std::uint64_t least = (used + used / (kKeptPart - 1) + payload - 1) / payload;
  const std::uint64_t ahead = std::max(options_.prepared_segments + reserved, least);
  return static_cast<unsigned>(std::min(ahead, options_.prepared_segments + kMostReserved));
}

void WriteAheadLog::look_after_segments() {
  const unsigned ahead = segments_ahead();
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    if (!replica.active()) continue;
    replica.prepare_ahead(cursor_.segment(), ahead, key_.segment_size, options_.max_bytes);
    while (const auto footer = footers_.next(static_cast<unsigned>(i), replica.prefix())) {
      replica.location()->write(make_token({Operation::kFooter, footer->segment.value, 0}), footer->segment,
                                footer->offset, footer->bytes);
    }
    store_progress(i);
    free_released(i);
  }
}

// Rarely: so that the next recovery need not look at every segment's footer.
void WriteAheadLog::store_progress(std::size_t i) {
  Replica& replica = replicas_[i];
  const Lsn held = std::min(replica.prefix(), durable_);
  const bool first = progress_at_[i] == SegmentNumber{};
  // The call may block: the first time, right after a start, it waits for an idle moment or for a segment to be full.
  const bool at_ease = !has_unissued() && last_issued_ == durable_;
  const bool due =
      first ? at_ease || cursor_.segment() > epoch_segment_ : cursor_.segment() >= progress_at_[i] + kProgressEvery;
  if (!due || held < epoch_start_) return;
  // It would block everything at a device that hangs: only one that keeps up is asked.
  if (replica.prefix().value + kProgressLag < durable_.value) return;
  progress_at_[i] = cursor_.segment();
  replica.location()->replace_blob(make_token({Operation::kProgress, held.value, 0}), kProgressBlob,
                                   encode(Progress{key_.id, held}));
}

// For payload, in segments beyond the current one that are ready on W locations.
std::uint64_t WriteAheadLog::ready_room() const {
  std::array<std::uint64_t, kMaxReplicas> ready{};
  std::size_t count = 0;
  for (const Replica& replica : replicas_) {
    if (replica.active()) ready[count++] = replica.ready_through().value;
  }
  if (count < identity_.stored_on) return 0;
  std::sort(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>{});
  const std::uint64_t through = ready[identity_.stored_on - 1];
  if (through < cursor_.segment().value) return 0;
  return (through - cursor_.segment().value) * SegmentCursor::payload_per_segment(key_.segment_size);
}

// What is left of it beside what is reserved, a batch and `kept`: connection records, checkpoints and small records
// live on these.
std::uint64_t WriteAheadLog::room_beside(std::uint64_t kept) const {
  const std::uint64_t room = ready_room();
  const std::uint64_t taken = kept + options_.batch_size + room / kKeptPart + reserved_;
  return room <= taken ? 0 : room - taken;
}

std::uint64_t WriteAheadLog::unreserved() const {
  return room_beside(SegmentCursor::payload_per_segment(key_.segment_size));
}

// The segment that the predecessor kept is the one that this epoch has begun.
std::uint64_t WriteAheadLog::inheritable() const {
  return cursor_.segment() == epoch_segment_ ? room_beside(0) : unreserved();
}

void WriteAheadLog::reserve(std::uint64_t bytes) { reserved_ += bytes; }

void WriteAheadLog::unreserve(std::uint64_t bytes) {
  HF_ASSERT(bytes <= reserved_);
  reserved_ -= bytes;
}

void WriteAheadLog::retry_space() {
  for (Replica& replica : replicas_) replica.retry_space();
}

bool WriteAheadLog::full() const {
  return std::ranges::any_of(replicas_, [](const Replica& r) { return r.active() && r.full(); });
}

}  // namespace holdfast::log
