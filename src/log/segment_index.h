// What one segment holds of each stream, and where its batches begin: built while the segment is written (or scanned),
// stored as the segment's footer so that nobody need scan it again (docs/log-format.md, "Footer").
//
// A footer is written only at a location that holds every batch of its segment, so it also says: complete here.
#pragma once

#include <optional>
#include <vector>

#include "base/units.h"
#include "log/batch_codec.h"

namespace holdfast::log {

struct StreamSummary {
  static constexpr std::uint32_t kHasIn = 1, kHasOut = 2, kInFin = 4, kOutFin = 8, kClosed = 16, kHasCommit = 32;
  StreamId stream;
  std::uint64_t in_begin = 0, in_end = 0;
  std::uint64_t out_begin = 0, out_end = 0;
  std::uint64_t consumed = 0;        // by the last commit
  std::uint32_t first_position = 0;  // of the stream's first and last record here
  std::uint32_t last_position = 0;
  std::uint32_t connection_position = 0;  // of its last connection record here; 0: none
  std::uint32_t close_reason = 0;
  std::uint32_t flags = 0;

  bool has(std::uint32_t flag) const { return (flags & flag) != 0; }
};
inline constexpr std::size_t kStreamSummarySize = 72;
inline constexpr std::size_t kFooterTrailerSize = 128;

class SegmentIndex {
 public:
  SegmentIndex();

  // Allocates for this many streams.
  void expect(std::size_t streams);
  // Begins anew for another segment.
  void reset(SegmentNumber segment, Epoch epoch);
  void add_batch(BatchPosition at);
  void add_record(const RecordHeader& header, std::uint32_t position, std::uint64_t consumed);
  // The last batch is complete.
  // A whole batch that was read back.
  void add_stored_batch(const BatchHeader& header, Bytes batch);
  void finish_batch(Lsn lsn, std::uint32_t end);

  SegmentNumber segment() const { return segment_; }
  Epoch epoch() const { return epoch_; }
  Lsn last_lsn() const { return last_lsn_; }
  std::uint32_t data_end() const { return data_end_; }
  const std::vector<StreamSummary>& streams() const { return streams_; }
  const std::vector<std::uint32_t>& batches() const { return batches_; }  // offsets, ascending
  const StreamSummary* find(StreamId stream) const;

  // Bytes of the footer if `more_streams` and `more_batches` were added.
  std::uint64_t footer_size(std::size_t more_streams = 0, std::size_t more_batches = 0) const;
  // `out` has footer_size() bytes; it belongs at segment_size - footer_size().
  void encode(const LogKey& key, MutableBytes out) const;

  // Wall clock, nanoseconds since 1970, when nothing more was to be added; 0: not known. Nothing in it is newer.
  void sealed_at(std::uint64_t wall_clock) { sealed_at_ = wall_clock; }
  std::uint64_t sealed_at() const { return sealed_at_; }

  // What the last block of a segment says about its footer.
  struct Trailer {
    SegmentNumber segment;
    Epoch epoch;
    Lsn last_lsn;
    std::uint32_t data_end = 0;
    std::uint32_t stream_count = 0, batch_count = 0;
    std::uint32_t entries_crc = 0;
    std::uint64_t sealed_at = 0;
    std::uint64_t size() const;  // of the whole footer
  };
  // `last_block`: at least the last kFooterTrailerSize bytes of the segment.
  static std::optional<Trailer> decode_trailer(Bytes last_block, const LogKey& key, SegmentNumber segment);
  // `footer` has trailer.size() bytes.
  static std::optional<SegmentIndex> decode(Bytes footer, const Trailer& trailer);

 private:
  StreamSummary& summary(StreamId stream, std::uint32_t position);
  // The table's entry for this stream: where it is, or where it would be.
  std::size_t probe(StreamId stream) const;
  // False where the stream is in already.
  bool insert(const StreamSummary& fresh);

  SegmentNumber segment_;
  Epoch epoch_;
  Lsn last_lsn_;
  std::uint32_t data_end_ = 0;
  std::uint64_t sealed_at_ = 0;
  std::vector<StreamSummary> streams_;
  std::vector<std::uint32_t> batches_;
  std::vector<std::uint32_t> table_;  // open addressing, a power of two: place in streams_ + 1, or 0
  StreamId last_stream_;              // most records continue the stream of the one before
  std::uint32_t last_slot_ = 0;
};

}  // namespace holdfast::log
