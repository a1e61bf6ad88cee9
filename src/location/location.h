// One place that stores: a directory on a device, a RADOS pool, or memory with faults in the simulator.
//
// A location knows segments (numbered files of one fixed size, written with zeros whole before first use) and small
// named blobs that are replaced atomically. It does not know what is in them: that is the log's.
//
// Threads: one owner thread; none of the calls may be made from another. Reads block (recovery and readers); the
// writing calls return at once and end in a Completion. After a completion with an error the location is failed: the
// log sends nothing more to it (a failed flush must never be retried as if it had succeeded).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"

namespace holdfast::location {

// All offsets, lengths and memory addresses of segment writes are multiples of this.
inline constexpr std::size_t kBlock = 4096;

// What memory should be aligned to that large writes come from: a huge page of x86-64 and of arm64 with 4 KiB pages.
inline constexpr std::size_t kBufferAlignment = 2U << 20;

// What the log makes of a completion; handed back unchanged.
using Token = std::uint64_t;

struct Completion {
  Token token = 0;
  std::optional<Error> error;  // empty: done, and durable
};

struct SegmentInfo {
  SegmentNumber number;
  std::uint64_t size = 0;  // bytes; a location reports what it finds, the log checks it
};

class Location {
 public:
  virtual ~Location() = default;

  // For messages: "/var/lib/holdfast/a".
  virtual const std::string& name() const = 0;
  // Of what it reports as stored, it has made at least so many copies on devices of their own; at least 1.
  virtual unsigned copies() const { return 1; }

  // Across a network: many writes may be under way at once at no cost to each other, and each may take long.
  virtual bool remote() const { return false; }

  // ---- Before the log starts: blocking. ----

  // Takes every lock that a writer holds: the directory's own, and those on the descriptors that segments are written
  // through (a dead process's writes can land after its restart: they hold the lock until they have). Waits for them as
  // long as `bound` (real or simulated). Then fails with kBusy where another owner lives, and says who that is where it
  // is known; with any other kind where this location cannot be used, but nobody else uses it.
  virtual Result<void> lock(Duration bound) = 0;
  // A live owner holds the lock, this one or another; also where that cannot be told. For readers: neither waits nor
  // keeps an owner out for longer than a moment.
  virtual bool has_owner() const = 0;
  // The lock that was taken is held still; asked where that can be lost, and what was read makes no sense. kBusy:
  // somebody else has it by now, and may have changed what is there.
  virtual Result<void> confirm_lock() { return {}; }
  virtual Result<std::vector<SegmentInfo>> segments() = 0;
  // Reads exactly `into.size()` bytes; any offset and length; never creates or locks. Short is an error.
  virtual Result<void> read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) = 0;
  // The blob's bytes, or nullopt where there is none.
  virtual Result<std::optional<std::vector<std::byte>>> read_blob(const std::string& blob) = 0;
  virtual Result<std::vector<std::string>> blobs() = 0;
  // Replaces a blob atomically and durably.
  virtual Result<void> write_blob(const std::string& blob, Bytes content) = 0;
  virtual Result<void> remove_blob(const std::string& blob) = 0;

  // Where the bytes of most writes will come from, for as long as the location lives: it may make this memory cheap for
  // the device to read. Aligned to kBufferAlignment.
  virtual void expect_writes_from(MutableBytes /*memory*/) {}

  // ---- While the log runs: asynchronous. ----

  // Writes whole blocks into a prepared segment. Complete means durable (O_DSYNC or the same effect). `bytes` stays
  // untouched by the caller until the completion.
  virtual void write(Token token, SegmentNumber segment, std::uint64_t offset, Bytes bytes) = 0;
  // Makes a segment of `size` bytes of zeros, fsynced with its directory: complete means ready for writing.
  // Reports kFull where there is no room, and then leaves nothing behind.
  virtual void prepare(Token token, SegmentNumber segment, std::uint64_t size) = 0;
  // Gives a segment in which nothing counts a new number without writing it anew (its content, if it keeps any, stays
  // as it was until overwritten). After a crash its old number may be there once more.
  virtual void recycle(Token token, SegmentNumber from, SegmentNumber to) = 0;
  virtual void remove(Token token, SegmentNumber segment) = 0;
  // As write_blob(), for small rare things while the log runs. Where a blob is replaced by a file system's operations
  // this one blocks too.
  virtual void replace_blob(Token token, const std::string& blob, Bytes content) = 0;

  // Moves up to `out.size()` finished operations into `out`; returns how many. Never blocks.
  virtual std::size_t poll(std::span<Completion> out) = 0;
  // Operations begun and not yet reported by poll().
  virtual std::size_t in_flight() const = 0;
  // For blocking sequences before the log starts (recovery's copies): returns when poll() may have something, or at
  // once where that cannot be told; so always in a loop around poll(). A simulated location lets simulated time pass in
  // it.
  virtual void wait() {}
};

}  // namespace holdfast::location
