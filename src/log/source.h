// One location as a place to read batches from: which segments it has, and a window into one of them so that a scan
// reads large blocks and checks them in place. Whatever cannot be read counts as not there.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "location/location.h"
#include "log/batch_codec.h"

namespace holdfast::log {

class Source {
 public:
  static constexpr std::size_t kReadAhead = 2U << 20;  // bytes

  Source(location::Location* location, const LogKey& key) : location_(location), key_(key) {}

  location::Location& location() const { return *location_; }
  const std::string& name() const { return location_->name(); }

  // Looks again at what is there; forgets what was read.
  Result<void> list_segments();
  // Numbers and sizes, ascending.
  const std::map<std::uint64_t, std::uint64_t>& segments() const { return segments_; }
  // Whole: a file of another size than the log's is damaged.
  bool has(SegmentNumber segment) const;
  void note_segment(SegmentNumber segment) { segments_[segment.value] = key_.segment_size; }
  void forget_segment(SegmentNumber segment) { segments_.erase(segment.value); }

  // `length` bytes of a segment; valid until the next call. With `ahead`, what follows is read at once too.
  std::optional<Bytes> view(SegmentNumber segment, std::uint64_t offset, std::size_t length, bool ahead);
  void drop_window() { window_length_ = 0; }

  // The header at a place, if a batch was written there. Says nothing about the body.
  std::optional<BatchHeader> header_at(BatchPosition at, bool ahead);

  // A whole batch that passes every check; the bytes are valid until the next call.
  struct Batch {
    BatchHeader header;
    Bytes bytes;
  };
  std::optional<Batch> batch_at(BatchPosition at, PayloadCheck payloads = PayloadCheck::kVerify, bool ahead = true);

  // The block there can be read and holds nothing but zeros: nothing was ever written to it.
  bool is_blank(BatchPosition at);

  // First header of a segment, kept.
  const std::optional<BatchHeader>& first_header(SegmentNumber segment);
  void forget_first_header(SegmentNumber segment) { first_headers_.erase(segment.value); }
  // A location that answers, and cannot read what may be a batch, or some of it: why. Of a segment that is whole.
  std::optional<std::string> unreadable_at(BatchPosition at);

  // The location says that it held everything up to here; 0 where it does not say so.
  Lsn progress() const;

  const std::string& last_problem() const { return last_problem_; }
  // A read was not answered in time: what is there nobody knows, and it must not be taken for nothing.
  const std::optional<std::string>& unanswered() const { return unanswered_; }
  void forget_silence() { unanswered_.reset(); }

  // For recovery: after that nothing more is asked here.
  void end_at_silence() { ends_at_silence_ = true; }

 private:
  location::Location* location_;
  LogKey key_;
  std::map<std::uint64_t, std::uint64_t> segments_;
  std::map<std::uint64_t, std::optional<BatchHeader>> first_headers_;
  std::vector<std::byte> window_;
  SegmentNumber window_segment_;
  std::uint64_t window_offset_ = 0;
  std::size_t window_length_ = 0;
  std::string last_problem_;
  bool ends_at_silence_ = false;
  std::optional<std::string> unanswered_;
};

}  // namespace holdfast::log
