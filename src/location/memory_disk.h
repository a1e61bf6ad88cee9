// A disk in RAM for the simulator and for tests: what outlives a process. Its content, the operations that are on their
// way to it, and every fault that it can have.
//
// Nothing here is random or timed by itself: the simulator decides each fate and each moment (`Faults`, complete(),
// crash(), …), so that a seed replays. `Memory` (memory.h) is a process's handle on it, one per process life.
//
// By default the disk is `automatic`: everything that was asked for is done by the next poll(). A simulator switches
// that off and completes operations itself, in any order.
//
// Threads: one. Ownership: std::shared_ptr, held by the simulator and by the handles.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "location/location.h"

namespace holdfast::location {

class Memory;

// The unit that a device writes whole or not at all.
inline constexpr std::size_t kSector = 512;

// Which sectors of a torn write are stored; sectors are counted from the write's start.
struct Tear {
  std::uint32_t first = 0, last = 0;  // those in [first, last) …
  bool inverted = false;              // … or all the others
  std::uint64_t scatter = 0;          // not 0: instead, a subset that these random bits choose
  bool stores(std::uint32_t sector) const;
};

// What becomes of an operation in flight when its process dies or the power fails.
struct Fate {
  enum class Kind : std::uint8_t {
    kNotDone,
    kDone,
    kTorn,  // a write in part (`tear`); anything else: not done
    kLate,  // done later, in the time of the next process (crash() only): see MemoryDisk::late()
  };
  Kind kind = Kind::kNotDone;
  Tear tear{};
};

// How an operation in flight ends while its process lives.
struct Ending {
  enum class Kind : std::uint8_t {
    kDone,
    kError,        // EIO, nothing stored
    kErrorTorn,    // EIO, a part stored (`tear`)
    kErrorStored,  // EIO, and yet all of it stored
    kDropped,      // success reported, nothing stored: a lying device
    kMisdirected,  // success reported, stored at `segment`, `offset` instead (nowhere if that does not exist)
  };
  Kind kind = Kind::kDone;
  Tear tear{};
  SegmentNumber segment{};
  std::uint64_t offset = 0;
};

// An operation on its way to the disk, in the order in which it was issued.
struct PendingOperation {
  enum class Kind : std::uint8_t { kWrite, kPrepare, kRecycle, kRemove };
  std::uint64_t id = 0;  // counted from 1 over the disk's whole life
  Kind kind = Kind::kWrite;
  Token token = 0;
  SegmentNumber segment;
  SegmentNumber to;                   // kRecycle
  std::uint64_t offset = 0;           // kWrite
  std::uint64_t size = 0;             // kWrite, kPrepare: bytes
  Memory* owner = nullptr;            // null once its process is dead
  const std::byte* source = nullptr;  // kWrite: the caller's buffer, which must stay as it is
  std::vector<std::byte> bytes;       // kWrite: as they were when issued
};

// Faults that last until they are taken back. The simulator sets them at any time.
struct MemoryFaults {
  bool automatic = true;                // poll() completes everything pending, in order
  bool failing = false;                 // EIO for every operation, reads and blobs included
  bool failing_reads = false;           // EIO for reads only
  bool full = false;                    // no room for prepare()
  bool recycling_takes_room = false;    // nor for recycle(), as in a pool
  std::uint64_t capacity = UINT64_MAX;  // bytes of segments; prepare() beyond it finds no room

  // Simulated time passes inside a call that waits: lock(), and Memory::wait(). Gets how long the call would go on
  // waiting, completes pending or late operations as it likes, returns how much time went by; 0: nothing will ever
  // happen, give up. Unset: everything pending and late happens at once.
  std::function<Duration(Duration at_most)> pass_time;

  // Asked before a handle takes the lock: true where its process is dead by then.
  std::function<bool()> dead_at_lock;
  // Asked before each blocking change (write_blob, remove_blob): a step at which a process can die.
  enum class Step : std::uint8_t { kDo, kFail, kDieBefore, kDieAfter };
  std::function<Step(const std::string& blob)> before_blob;
};

class MemoryDisk {
 public:
  explicit MemoryDisk(std::string name) : name_(std::move(name)) {}
  MemoryDisk(const MemoryDisk&) = delete;
  MemoryDisk& operator=(const MemoryDisk&) = delete;

  MemoryFaults faults;

  const std::string& name() const { return name_; }

  // ---- Operations in flight ----

  // Of the living process, in the order of issue. Valid until the next call that changes anything.
  const std::vector<PendingOperation>& pending() const { return pending_; }
  // Of dead processes. They hold the lock of the descriptor that they were written through.
  const std::vector<PendingOperation>& late() const { return late_; }
  // Ends the n-th pending operation; its process finds the completion at its next poll().
  void complete(std::size_t n, const Ending& ending = {});
  // Ends all that is pending now, in order.
  void complete_all();
  // The n-th late operation reaches the disk, or never will.
  void land_late(std::size_t n, bool stored = true);

  // The process that holds the disk dies (kill -9): `decide` is asked for each of its operations in flight, in order.
  // Its handle answers everything with errors from then on; destroying it is left to the caller.
  using Decide = std::function<Fate(const PendingOperation&)>;
  void crash(const Decide& decide);
  // The power fails: the process dies, and operations in flight (late ones too) are done, torn or gone; kLate counts as
  // gone.
  void power_loss(const Decide& decide);

  // ---- Rot: changes to stored content behind everyone's back. Positions beyond the end are ignored. ----

  void flip(SegmentNumber segment, std::uint64_t offset, std::byte mask);
  void zero(SegmentNumber segment, std::uint64_t offset, std::uint64_t length);
  void overwrite(SegmentNumber segment, std::uint64_t offset, Bytes bytes);
  void truncate(SegmentNumber segment, std::uint64_t size);
  void lose_segment(SegmentNumber segment) { segments_.erase(segment.value); }
  void lose_blob(const std::string& blob) { blobs_.erase(blob); }
  void flip_blob(const std::string& blob, std::size_t offset, std::byte mask);
  void lose_everything();
  // Reads that touch these bytes fail with EIO until they are written again or heal() is called.
  void make_unreadable(SegmentNumber segment, std::uint64_t offset, std::uint64_t length);
  void heal() { unreadable_.clear(); }

  // ---- Content, for oracles ----

  std::vector<SegmentInfo> segments() const;
  Result<void> read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) const;
  const std::map<std::string, std::vector<std::byte>>& blobs() const { return blobs_; }
  // What its processes have asked for of segments, over the disk's whole life.
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  friend class Memory;

  using Page = std::array<std::byte, kBlock>;
  // Sparse: a page that is not there reads as zeros.
  struct Segment {
    std::uint64_t size = 0;
    std::vector<std::unique_ptr<Page>> pages;
    void read(std::uint64_t offset, MutableBytes into) const;
    void write(std::uint64_t offset, Bytes bytes);
  };
  struct Range {
    SegmentNumber segment;
    std::uint64_t begin = 0, end = 0;
  };

  Segment* find(SegmentNumber segment);
  const Segment* find(SegmentNumber segment) const;
  std::uint64_t bytes_in_use() const;
  bool is_unreadable(SegmentNumber segment, std::uint64_t offset, std::uint64_t length) const;
  Error io_error(const char* what, SegmentNumber segment) const;
  Error no_space(SegmentNumber segment, std::uint64_t size) const;

  // Does the operation; the error that its issuer would see.
  std::optional<Error> apply(const PendingOperation& operation);
  std::optional<Error> apply_write(const PendingOperation& operation);
  std::optional<Error> apply_prepare(const PendingOperation& operation);
  std::optional<Error> apply_recycle(const PendingOperation& operation);
  std::optional<Error> apply_remove(const PendingOperation& operation);
  void apply_torn(const PendingOperation& operation, const Tear& tear);
  void misdirect(const PendingOperation& operation, const Ending& ending);
  std::optional<Error> end(const PendingOperation& operation, const Ending& ending);
  void kill();
  // What every operation in flight becomes when its process is gone.
  void settle(std::vector<PendingOperation> operations, const Decide& decide, bool late_allowed);
  void abandon(Memory& process);

  std::string name_;
  std::map<std::uint64_t, Segment> segments_;
  std::map<std::string, std::vector<std::byte>> blobs_;
  std::vector<Range> unreadable_;
  std::vector<PendingOperation> pending_;
  std::vector<PendingOperation> late_;
  std::uint64_t last_id_ = 0;
  std::uint64_t bytes_read_ = 0;
  Memory* holder_ = nullptr;  // of the directory's lock
};

}  // namespace holdfast::location
