// How many batches are under way at once, and how soon a small one leaves beside others.
//
// A device that answers in a millisecond is fastest with a few large writes. At a store that is far away each write
// takes the way there and back, whatever its size. What keeps the rate there is as many bytes under way as that way
// holds: rate x write time, both measured, as BBR does it for a connection. What keeps a sender's round trip steady is
// that no byte waits until a batch has come back: a small one leaves beside others, one in a sixteenth of the way.
//
// Pure. The time comes in (tell_time); while it does not, nothing is far away.
#pragma once

#include <array>
#include <cstdint>

#include "base/units.h"
#include "log/log.h"
#include "log/quorum.h"
#include "log/spread.h"

namespace holdfast::log {

class Pipeline {
 public:
  // Nearer than this a store needs no more than `least` batches: so much of them fits into it at 250 MB/s.
  static constexpr Duration kFar = std::chrono::milliseconds(8);
  // Bytes of log between a batch and the last one that is issued before it is durable, where the store is far away.
  static constexpr std::uint64_t most_bytes(std::uint32_t batch_size) { return std::uint64_t{16} * batch_size; }

  // Batches: `least` wherever the store is, `most` where it is far away.
  Pipeline(unsigned least, unsigned most, std::uint32_t batch_size)
      : least_(least), most_(most), batch_size_(batch_size) {}

  void tell_time(Time now);
  void issued(Lsn lsn, std::uint64_t bytes);
  // Everything up to this one.
  void durable(Lsn upto);

  // As many batches may be under way now.
  unsigned limit() const;
  // When a batch that is not full may leave beside others.
  Time due() const;
  Time now() const { return now_; }
  // Below so many the batches under way are few, and one that is a part of a full one is worth a write of its own.
  unsigned few() const { return least_; }

  WritesReport take_report();

 private:
  struct Written {
    Lsn lsn;
    std::uint64_t bytes = 0;
    Time at;
    std::uint64_t stored_then = 0;
  };

  bool far() const { return most_ > least_ && write_time_ >= kFar; }
  std::uint64_t bound() const;
  void stored(const Written& batch);
  void note_rate(std::uint64_t bytes_per_second);
  void note_write_time(const Written& batch, Duration took);

  const unsigned least_, most_;
  const std::uint32_t batch_size_;
  Time now_{};

  // Under way, oldest first.
  std::array<Written, Prefix::kSpan> batches_;
  std::size_t first_ = 0, count_ = 0;
  std::uint64_t bytes_ = 0;   // under way
  std::uint64_t stored_ = 0;  // in all
  Time last_issue_{};

  // The highest of the last seconds; of those before, until the next ones are there.
  std::uint64_t rate_ = 0, rate_before_ = 0;
  Time rate_since_{};
  // The least, which is what the way takes; seen again at `write_time_at_`, or nearly so. When it has not been seen for
  // long, fewer are let out for once, so that none waits behind others: by the batches after `looking_after_`.
  Duration write_time_ = Duration::zero();
  Time write_time_at_{};
  bool looking_ = false;
  Lsn last_issued_, looking_after_;

  WritesReport report_;
  Spread sizes_, times_;
};

}  // namespace holdfast::log
