// One simulated disk in time: gives each operation that the node begins a moment at which it ends, and at a crash a
// fate. The bytes and the faults themselves are location::MemoryDisk's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "location/memory_disk.h"
#include "sim/contents.h"
#include "sim/context.h"
#include "sim/prng.h"

namespace holdfast::sim {

// Probabilities in parts of a million for each operation.
struct DiskFaults {
  Duration latency = std::chrono::microseconds(100);  // least
  Duration spread = std::chrono::microseconds(100);   // added, uniform; several in flight end in any order
  std::uint32_t slow = 0;                             // takes up to 100 times as long
  std::uint32_t write_error = 0;                      // ends in an error, stored in part, whole or not at all
  std::uint32_t torn = 500'000;                       // at a power loss: an unfinished write is torn
  std::uint32_t late = 300'000;                       // at a kill: an unfinished write lands in the next life
  Duration late_by = std::chrono::seconds(1);         // at most
};

// Sees what a disk is asked for and what it has done; the oracle.
class DiskWatcher {
 public:
  virtual ~DiskWatcher() = default;
  virtual void begun(unsigned disk, const location::PendingOperation& operation) = 0;
  // The operation is on the disk whole, and its process (if it lives) will be told so.
  virtual void stored(unsigned disk, std::uint64_t operation) = 0;
};

class Disk final : public Contents {
 public:
  Disk(Context& context, DiskWatcher& watcher, unsigned number, Prng prng);

  location::MemoryDisk& memory() { return *memory_; }
  const location::MemoryDisk& memory() const { return *memory_; }
  std::shared_ptr<location::MemoryDisk> share() const { return memory_; }
  DiskFaults faults;

  // ---- Contents ----
  const std::string& name() const override { return memory_->name(); }
  const std::vector<std::byte>* blob(const std::string& blob) const override {
    const auto found = memory_->blobs().find(blob);
    return found == memory_->blobs().end() ? nullptr : &found->second;
  }
  bool read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) const override {
    return memory_->read(segment, offset, into).has_value();
  }

  // Operations begun since the last call get their moment, counted from `now`.
  void notice_new(Time now);
  // When the next operation ends; kNever where none is in flight (or the disk stalls).
  Time next_end() const;
  // Ends what is due at `now`; true when something ended.
  bool run(Time now);
  // Nothing ends before this moment.
  void stall_until(Time when);

  // What becomes of the operations that a killed process has begun.
  enum class Landing : std::uint8_t { kByChance, kAll, kNone };
  // The node dies. Operations with an id above `last_issued` were never begun.
  void kill(std::uint64_t last_issued, Time now, Landing landing = Landing::kByChance);
  void power_loss(std::uint64_t last_issued);
  std::uint64_t last_issued() const;

 private:
  struct Due {
    Time when;
    bool late = false;
  };

  void end(std::uint64_t id, const Due& due);
  location::Ending ending_of(const location::PendingOperation& operation);
  location::Tear random_tear(std::uint64_t bytes);
  bool is_stalled(Time now) const { return now < stalled_until_; }

  Context& context_;
  DiskWatcher& watcher_;
  unsigned number_;
  Prng prng_;
  std::shared_ptr<location::MemoryDisk> memory_;
  std::map<std::uint64_t, Due> due_;  // by operation id
  std::uint64_t noticed_ = 0;         // highest operation id seen
  Time stalled_until_{};
};

}  // namespace holdfast::sim
