// Reads a log that this process does not own: a stopped node's directories, or a running node's while it writes on.
// Never writes. What it shows is the chain that a recovery would adopt, as far as it is known to be durable; where
// locations cannot be read, or no node runs and a copy is bad, as far as it can be durable with what they may hold.
//
// While the node runs, the edge moves: refresh() looks for growth; segments may appear or vanish (trimmed) in between,
// and a read of a trimmed range ends in an error that says so.
//
// Threads: one owner thread. Blocks on the locations' reads. Errors name the stream, the range and the locations that
// failed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "location/location.h"
#include "log/record.h"

namespace holdfast::log {

enum class Direction : std::uint8_t { kIn = 0, kOut = 1 };

// What the log holds of one direction of a stream: bytes [begin, end).
struct StreamRange {
  StreamOffset begin;
  StreamOffset end;
  bool fin = false;  // and the direction ends at `end`
  std::uint64_t size() const { return end - begin; }
};

struct StreamInfo {
  StreamId id;
  std::vector<std::byte>
      connection;       // payload of the latest connection record (gate/connection_record.h); empty: none retained
  bool closed = false;  // a close record is stored
  std::uint32_t close_reason = 0;  // its `extra`
  StreamRange in;
  StreamRange out;             // echoed bytes (flag kEcho) included
  std::uint64_t consumed = 0;  // input consumed up to here, by the last commit
};

struct ReaderLocation {
  std::string name;
  bool usable = false;
  std::string problem;         // why not, or what was found wrong so far
  std::uint64_t segments = 0;  // segment files found
  std::uint64_t bytes = 0;     // their size
  Epoch promised;              // highest epoch promised there
  Lsn last;                    // last batch of the chain found there
};

struct LogInfo {
  std::string id;          // 32 hexadecimal digits
  unsigned replicas = 0;   // R
  unsigned stored_on = 0;  // W
  std::uint64_t segment_size = 0;
  Epoch epoch;
  SegmentNumber first_kept;       // segments in front of it were released; 0: none ever was
  std::uint64_t next_stream = 1;  // above the number of every stream there was
  Lsn first;                      // first batch still there
  Lsn end;                        // last batch that is shown
  // Batches behind it, where no node runs, that are on fewer locations than is needed to have been acknowledged: whole
  // there, blank elsewhere. A start adopts them.
  std::uint64_t undecided = 0;
  std::vector<ReaderLocation> locations;
  // What was stored and cannot be read at any location, a line each: what it held of a stream may be missing from that
  // stream's ranges, and streams may be missing. Empty: everything that was acknowledged is shown.
  std::vector<std::string> damage;
};

// A damaged or missing copy, found by scrub().
struct Finding {
  std::string location;
  SegmentNumber segment;
  std::uint64_t offset = 0;  // bytes, of the batch
  Lsn lsn;
  std::string what;
  bool repairable = false;  // another location has a good copy
};

// What is to be released of a log, a segment at a time, oldest first. Either of what is set releases.
struct TrimWish {
  std::uint64_t keep_bytes = 0;     // more than that, of segments; 0: however much there is
  std::uint64_t sealed_before = 0;  // nothing in it is newer: nanoseconds since 1970; 0: however old
  bool closed = false;              // as long as all streams in it are closed
};
struct TrimPlan {
  SegmentNumber first_kept;  // 0: nothing goes
  std::uint64_t segments = 0, bytes = 0;
  struct Loss {
    StreamId stream;
    StreamRange in, out;  // what goes of each direction
  };
  std::vector<Loss> losses;  // ascending
};

class Reader {
 public:
  // Takes pieces in stream order; false stops the read (which then succeeds).
  using Sink = std::function<bool(StreamOffset at, Bytes piece)>;
  // Takes every durable record of the log in order, from the first segment kept; false stops.
  using RecordSink = std::function<bool(const RecordHeader& header, Bytes payload, const Extent& where, Lsn lsn)>;

  // The locations outlive the reader; those that are missing, foreign or broken are tolerated and reported in info() as
  // long as one is usable. kUsage: no location holds a log. kIncompatible: a newer format.
  static Result<std::unique_ptr<Reader>> open(const std::vector<location::Location*>& locations);
  virtual ~Reader() = default;

  // Looks for growth; true when the durable end moved. Call it from time to time to follow a running node.
  virtual Result<bool> refresh() = 0;

  virtual const LogInfo& info() const = 0;

  // All streams of which something is retained, ascending by id. As of the last refresh().
  virtual Result<std::vector<StreamInfo>> list() = 0;
  // One of them; kUsage where the log has no such stream.
  virtual Result<StreamInfo> show(StreamId stream) = 0;

  // Bytes [from, from + length) of one direction. Every byte's checksum is verified; a bad copy is read from another
  // location. Ranges that are not there (beyond the end, trimmed, in a gap) are errors.
  virtual Result<void> read(StreamId stream, Direction direction, StreamOffset from, std::uint64_t length,
                            const Sink& sink) = 0;

  // What that would be, as the log is now. The segment that is being written stays.
  virtual Result<TrimPlan> plan_trim(const TrimWish& wish) = 0;

  // Every durable record, in log order, from `from` on (Lsn{0}: from the first kept).
  virtual Result<void> records(Lsn from, const RecordSink& sink) = 0;

  // Reads every durable batch at every location and verifies it. `progress` (may be empty) gets bytes done and bytes in
  // all.
  virtual Result<std::vector<Finding>> scrub(const std::function<void(std::uint64_t, std::uint64_t)>& progress) = 0;
};

}  // namespace holdfast::log
