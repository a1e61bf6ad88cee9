// The write-ahead segment log: an append-only sequence of batches, each written to R locations and durable once W of
// them have it *and everything before it*.
//
// Sans-I/O: it drives `location::Location`s, reads no clock and starts no thread. One owner thread.
// The caller's loop:  append… append… → pump() → (durable() may have moved) → release what waited for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/prf.h"
#include "base/units.h"
#include "location/location.h"
#include "log/record.h"
#include "log/writes_report.h"

namespace holdfast::log {

// What is kept of what nothing needs any more, a segment at a time; both may be set, and then either releases.
struct Retention {
  std::uint64_t bytes = 0;          // of segments; 0: as many as there are
  Duration age = Duration::zero();  // of a segment's newest record; 0: for ever
};

struct Options {
  Retention retention;
  std::uint64_t wall_clock = 0;  // at the start, nanoseconds since 1970: nothing that is there already is newer
  unsigned stored_on = 0;        // W; 0: all but one of R where R >= 3, else all
  std::uint64_t segment_size = 32ULL << 20;  // bytes, a multiple of 1 MiB, 1..1024 MiB; fixed when the log is formatted
  std::uint32_t batch_size = 512U << 10;     // bytes, a multiple of 4 KiB; a batch with one larger append may not exist
  unsigned max_in_flight = 4;                // batches
  unsigned most_in_flight = 32;              // where a location across a network is far away (pipeline.h)
  unsigned prepared_segments = 4;            // kept ready ahead, beyond what is reserved
  std::uint64_t max_bytes = 0;               // of segments per location; 0: as much as the file system gives
  std::uint64_t checkpoint_every = 16ULL << 20;  // bytes of log between checkpoints
  // Bytes that open() copies to a location that was away. One that lacks more is kBehind, unless without it there would
  // be too few to start with.
  std::uint64_t copy_limit = 1ULL << 30;
  // Told when a log is made, because no location holds one: W and R. May be empty.
  std::function<void(unsigned, unsigned)> on_format;
  // Told when an empty location takes the place of a lost one: its name. May be empty.
  std::function<void(const std::string&)> on_replace;
  // Told when a location had lost segment files: its name, how many were restored from others and how many could not
  // be, and why. May be empty.
  std::function<void(const std::string&, std::uint64_t, std::uint64_t, const std::string&)> on_lost_segments;
  // Told before a long copy (kWorthTelling): the location's name, and bytes. May be empty.
  std::function<void(const std::string&, std::uint64_t)> on_copy;
};

inline constexpr std::uint64_t kWorthTelling = 64U << 20;  // bytes to copy: a second or so

// Largest payload of one append; larger data is split by the caller.
inline constexpr std::size_t kMaxPayload = 128U << 10;

// Secrets that live in the log, shared by its owners over time.
struct Secrets {
  Secret mac;        // batches
  Secret isn;        // RFC 6528
  Secret timestamp;  // RFC 7323 section 5.4: per-connection offsets
  Secret cookie;
};

// Takes, in log order, every record from the last complete checkpoint's begin to the adopted end.
class RecordVisitor {
 public:
  virtual ~RecordVisitor() = default;
  virtual void on_record(const RecordHeader& header, Bytes payload, const Extent& where) = 0;
};

// Writes the live connections into the log again, a few at a time, so that recovery need not read far back.
class CheckpointSource {
 public:
  virtual ~CheckpointSource() = default;
  // A checkpoint begins: remember which connections are live now.
  virtual void checkpoint_begin() = 0;
  // Append up to about `budget` bytes of records; false when all that were live at the begin are written.
  virtual bool checkpoint_step(std::size_t budget) = 0;

  // Segments in front of `before` are to be released: append anew what live connections need of them, up to about
  // `budget` bytes; false when there is nothing left to append.
  virtual bool write_anew(SegmentNumber /*before*/, std::size_t /*budget*/) { return false; }
  // Of the segments in front of `before` the first that something needs still which a checkpoint does not write; or
  // `before`.
  virtual SegmentNumber first_needed(SegmentNumber before) { return before; }
};

enum class LocationState : std::uint8_t {
  kActive,  // counts for the quorum
  kFailed,  // taken out after an error; `reason` says which
  kBehind,  // lacks a part of the log (empty, or was away): counts for no quorum
};
struct LocationStatus {
  std::string name;
  LocationState state = LocationState::kActive;
  std::string reason;
  Lsn prefix;         // longest contiguous stored prefix
  bool full = false;  // no room for another segment; it goes on once there is
};
// "NAME: REASON", where the reason does not begin like that by itself.
std::string with_name(const std::string& name, const std::string& reason);

// How far a log is released.
struct Released {
  SegmentNumber first_kept;   // by the mark in force; 0: nothing was ever released
  std::uint64_t waiting = 0;  // segments in front of it that still take room, over all active locations
  std::uint64_t freed = 0;    // segments whose room was given back or used again since the start, likewise
};

class Log {
 public:
  // Opens or formats the log on these locations: locks all of them within `lock_bound`, promises a new epoch, chooses
  // the end by (epoch, LSN), copies the adopted tail until W hold it, and leaves the epoch-start record in the open
  // batch. The caller must let nothing leave before durable() >= epoch_start(). `random` is fresh entropy (epoch id,
  // secrets when formatting). Errors name the location and what to do: foreign, newer format, in use, too few
  // locations, rot that nothing repairs.
  static Result<std::unique_ptr<Log>> open(std::vector<std::unique_ptr<location::Location>> locations,
                                           const Options& options, std::span<const std::byte, 96> random,
                                           Duration lock_bound, RecordVisitor& visitor);
  virtual ~Log() = default;

  virtual const Secrets& secrets() const = 0;
  virtual Epoch epoch() const = 0;
  virtual Lsn epoch_start() const = 0;

  // ---- Appending ----

  // Where the next in-order payload may be received so that append() need not copy it: at least 66 KiB within the open
  // batch (sealing it first where too little is left), empty when there is no room. Valid until the next append() or
  // pump().
  virtual MutableBytes receive_space() = 0;

  // Adds a record to the open batch; returns the LSN of that batch. `payload` may lie at the start of receive_space()
  // (then it is not copied). Payload pieces that continue the last record of the open batch (same stream, type kIn, no
  // FIN) may be merged with it. For kOut, `payload` is without the commit prefix, which is written from `consumed`.
  // Checks payload.size() <= kMaxPayload. Returns Lsn{0} when the log has no prepared room left for it: nothing was
  // appended.
  virtual Lsn append(RecordHeader header, Bytes payload, std::uint64_t consumed = 0) = 0;
  // Where the last append() put its bytes: `position` is that of the record (which may hold merged bytes in front of
  // them), `offset` and `length` are those of this append.
  virtual Extent last_extent() const = 0;

  // The LSN of a batch whose write has not begun; it will be issued even when it stays empty.
  virtual Lsn barrier() = 0;
  // The LSN that an append would get now.
  virtual Lsn open_lsn() const = 0;
  // Every batch up to this one is durable on W locations.
  virtual Lsn durable() const = 0;
  // How many copies there are of every batch up to this one, now: at the active locations that hold them, as many as
  // each of these guarantees.
  virtual unsigned copies(Lsn lsn) const = 0;
  // The same where all locations hold it.
  virtual unsigned most_copies() const { return count(); }

  // Takes completions, issues what policy says (full batches while fewer than max_in_flight are in flight; a partial
  // one when nothing is in flight and `flush` is set), prepares and seals segments, drives checkpoints. Returns true
  // when durable() moved. Waits for no write; a small blob is replaced now and then at a location that keeps up.
  virtual bool pump(bool flush) = 0;
  // Before pump(): what time it is. Nothing but how many batches are under way at once depends on it.
  virtual void tell_time(Time /*now*/) {}
  // pump() has something to do then, though nothing happens before.
  virtual Time deadline() const { return kNever; }
  // Something is appended or asked for that no write in flight carries.
  virtual bool has_unissued() const = 0;
  // Operations in flight at any location: false means that pump() has nothing to wait for.
  virtual bool busy() const = 0;

  // ---- Space: never advertise a window that the log has no reserved room for ----

  // Payload bytes that can be promised beyond what is reserved already; batch and record overhead is accounted for.
  virtual std::uint64_t unreserved() const = 0;
  // The same for what the previous owner had promised: an epoch starts in a segment of its own, so that right after the
  // start the room for small records is there, and the room that is otherwise kept for them can be had.
  virtual std::uint64_t inheritable() const { return unreserved(); }
  virtual void reserve(std::uint64_t bytes) = 0;    // bytes <= unreserved(), or inheritable()
  virtual void unreserve(std::uint64_t bytes) = 0;  // promised bytes that arrived (were appended), or were taken back

  // ---- Ceilings ----

  // No clock value above the stored ceiling may leave (TSval, ISN clock). Promised ahead, rides on the next batch;
  // alone it is no reason to write one (barrier() is).
  virtual void promise_clock(std::uint64_t ceiling) = 0;
  // After open(): the ceiling that the adopted log holds.
  virtual std::uint64_t stored_clock_ceiling() const = 0;
  virtual StreamId next_stream_id() = 0;  // unique for the log's whole life; rides on the batches that use it

  virtual void set_checkpoint_source(CheckpointSource* source) = 0;

  // ---- Retention: the oldest segments are given up once a checkpoint that says so is stored ----

  // From time to time: what is a segment's age?
  virtual void tell_wall_clock(std::uint64_t /*now*/) {}
  // Gives up what lies in front of this segment, or as much of it as nothing needs, whatever Options::retention says.
  // Seen to at once: released() says how far it has come.
  virtual void release_before(SegmentNumber /*first_kept*/) {}
  virtual Released released() const { return {}; }
  // Nothing that was asked for with release_before() is still to be done.
  virtual bool release_settled() const { return true; }

  // ---- Reading back (retransmission after recovery; blocking, from any active location, checksum-verified) ----
  virtual Result<void> read(const Extent& extent, std::uint64_t from_offset, MutableBytes into) = 0;

  // ---- State ----
  virtual std::vector<LocationStatus> locations() const = 0;
  virtual WritesReport take_writes() { return {}; }
  virtual unsigned stored_on() const = 0;  // W
  virtual unsigned count() const = 0;      // R
  // Fewer than W locations are active: nothing more becomes durable.
  virtual bool quorum_lost() const = 0;
  // A location has refused to prepare further segments for want of room; retried by the log from time to time.
  virtual bool full() const = 0;
  // Try once more at the next pump(): there may be room again. To be called from time to time while full() holds.
  virtual void retry_space() = 0;
};

}  // namespace holdfast::log
