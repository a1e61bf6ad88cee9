// The running log: ties together the open batch, the batches on their way, the locations and the space ahead. What has
// to happen before (locks, promise, choice of the end, copies) is recovery's; see recovery.h.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "log/batch_builder.h"
#include "log/batch_slots.h"
#include "log/checkpoint_pacer.h"
#include "log/footer_writer.h"
#include "log/identity.h"
#include "log/kept_segments.h"
#include "log/log.h"
#include "log/pipeline.h"
#include "log/policy.h"
#include "log/replica.h"
#include "log/segment_cursor.h"

namespace holdfast::log {

// How a log begins its epoch; made by recovery.
struct LogStart {
  Identity identity;
  Epoch epoch;
  EpochStart previous;             // goes into the epoch-start record
  SegmentNumber first_segment;     // of this epoch
  std::uint32_t first_offset = 0;  // 0
  std::uint64_t clock_ceiling = 0;
  std::uint64_t next_stream = 1;
  std::optional<BatchPosition> checkpoint;
  std::uint64_t bytes_since_checkpoint = 0;
  std::vector<ReplicaStart> replicas;
  SegmentNumber first_kept;         // by `checkpoint`; 0: all are
  std::vector<SegmentNumber> kept;  // older than this epoch, at some active location, ascending
};

class WriteAheadLog final : public Log {
 public:
  WriteAheadLog(LogStart start, const Options& options);
  ~WriteAheadLog() override;

  const Secrets& secrets() const override { return identity_.secrets; }
  Epoch epoch() const override { return epoch_; }
  Lsn epoch_start() const override { return epoch_start_; }

  MutableBytes receive_space() override;
  Lsn append(RecordHeader header, Bytes payload, std::uint64_t consumed = 0) override;
  Extent last_extent() const override { return last_extent_; }

  Lsn barrier() override;
  Lsn open_lsn() const override { return next_lsn_; }
  Lsn durable() const override { return durable_; }
  unsigned copies(Lsn lsn) const override;
  unsigned most_copies() const override;

  bool pump(bool flush) override;
  void tell_time(Time now) override { pipeline_.tell_time(now); }
  Time deadline() const override;
  bool has_unissued() const override;
  bool busy() const override;

  std::uint64_t unreserved() const override;
  std::uint64_t inheritable() const override;
  void reserve(std::uint64_t bytes) override;
  void unreserve(std::uint64_t bytes) override;

  void promise_clock(std::uint64_t ceiling) override;
  std::uint64_t stored_clock_ceiling() const override { return stored_clock_; }
  StreamId next_stream_id() override { return StreamId{next_stream_++}; }

  void set_checkpoint_source(CheckpointSource* source) override { checkpoint_source_ = source; }

  void tell_wall_clock(std::uint64_t now) override;
  void release_before(SegmentNumber first_kept) override;
  Released released() const override;
  bool release_settled() const override;

  Result<void> read(const Extent& extent, std::uint64_t from_offset, MutableBytes into) override;

  std::vector<LocationStatus> locations() const override;
  WritesReport take_writes() override { return pipeline_.take_report(); }
  unsigned stored_on() const override { return identity_.stored_on; }
  unsigned count() const override { return static_cast<unsigned>(replicas_.size()); }
  bool quorum_lost() const override { return active_count() < identity_.stored_on; }
  bool full() const override;
  void retry_space() override;

 private:
  unsigned active_count() const;
  unsigned in_flight() const { return static_cast<unsigned>(last_issued_.value - durable_.value); }

  // The open batch.
  bool open_batch();
  bool ensure_place();
  std::size_t room_in_open() const;
  void seal_open();

  // The way to the locations.
  void take_completions();
  void take_completion(std::size_t replica, const location::Completion& completion);
  void take_write(std::size_t replica, const TokenParts& parts, const std::optional<Error>& error);
  void fail_replica(std::size_t replica, LocationState state, std::string reason);
  std::optional<std::uint8_t> acquire_slot();
  bool take_out_laggard();
  bool update_durable();
  void open_what_is_wanted();
  void issue(std::uint8_t slot);
  void write(std::size_t replica, std::uint8_t slot);
  void drain_queue(std::size_t replica);
  void drive_checkpoint();
  std::optional<SegmentNumber> mark_due();
  std::optional<std::uint64_t> ask_when_sealed(SegmentNumber segment);
  void hurry_release();
  void free_released(std::size_t replica);
  unsigned segments_ahead() const;
  void look_after_segments();
  void store_progress(std::size_t replica);

  bool segment_ready(SegmentNumber segment) const;
  std::uint64_t ready_room() const;
  std::uint64_t room_beside(std::uint64_t kept) const;
  Result<std::optional<BatchHeader>> header_before(location::Location& location, const Extent& extent);
  Result<bool> lies_in_a_good_batch(location::Location& location, const Extent& extent);
  Result<void> read_from(location::Location& location, const Extent& extent, std::uint64_t from_offset,
                         MutableBytes into);

  Options options_;
  Identity identity_;
  LogKey key_;
  Epoch epoch_;
  SegmentNumber epoch_segment_;
  Lsn epoch_start_;

  // Declared before the locations, which may still read from the buffers while they are destroyed.
  BatchSlots slots_;
  FooterWriter footers_;
  std::vector<std::byte> scratch_;
  struct Place {
    const location::Location* location;
    SegmentNumber segment;
    std::uint32_t begin;
    auto operator<=>(const Place&) const = default;
  };
  std::map<Place, std::uint32_t> good_batches_;  // in which read() found records: where they end
  std::vector<Replica> replicas_;
  std::vector<SegmentNumber> progress_at_;  // segment in which each location's progress was last stored; 0: not yet
  std::vector<Lsn> prefixes_;               // scratch of update_durable()
  std::vector<location::Completion> completions_;

  Pipeline pipeline_;
  SegmentCursor cursor_;
  BatchBuilder builder_;
  std::uint8_t open_slot_ = 0;
  bool open_forced_ = false;          // barrier(): issue it though it is empty
  bool flush_ = false;                // asked for at the last pump()
  std::vector<std::uint8_t> sealed_;  // in LSN order
  Extent last_extent_;

  Lsn next_lsn_;  // of the open batch, or of the next one
  Lsn last_issued_;
  std::uint64_t last_mac_ = 0;
  Lsn durable_;

  std::uint64_t reserved_ = 0;
  std::uint64_t wanted_clock_ = 0;
  std::uint64_t stored_clock_ = 0;
  std::uint64_t next_stream_ = 1;

  CheckpointSource* checkpoint_source_ = nullptr;
  CheckpointPacer pacer_;
  bool checkpoint_source_done_ = false;
  std::optional<BatchPosition> checkpoint_;  // in force

  // Giving up the oldest segments (write_ahead_release.cc). What a checkpoint says is kept, in the order in which it
  // takes effect: begun; complete; in force, as headers from now on say; said by the first header of a segment, which
  // every later start finds. Only then does a segment go.
  KeptSegments kept_;
  std::uint64_t wall_clock_ = 0;
  SegmentNumber asked_;  // by release_before()
  bool look_ = true;     // whether there is something to release
  SegmentNumber goal_;   // what is needed of the segments in front of it is being written anew
  Lsn anew_stepped_;     // the open batch that has had its step of that
  SegmentNumber mark_begun_, mark_complete_, mark_in_force_, mark_anchored_;
  struct Anchor {
    Lsn lsn;
    SegmentNumber first_kept;
  };
  std::deque<Anchor> anchors_;  // ascending
  bool leave_segment_ = false;  // on to the next one, however much room is left
};

}  // namespace holdfast::log
