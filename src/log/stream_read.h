// Reads a range of a stream: goes through the segments that hold something of it, in order, and takes each piece from
// the first location whose copy is good.
#pragma once

#include "log/log_view.h"

namespace holdfast::log {

class StreamRead {
 public:
  StreamRead(LogView& view, StreamId stream, Direction direction, std::uint64_t from, std::uint64_t length,
             const Reader::Sink& sink)
      : view_(view), stream_(stream), direction_(direction), at_(from), end_(from + length), sink_(sink) {}

  Result<void> run(const std::vector<SegmentNumber>& segments);

 private:
  Result<void> read_segment(const SegmentIndex& index, const StreamSummary& summary);
  Result<void> read_batch(BatchPosition at, Epoch epoch);
  // Delivers what this copy has of the range. False: a record that is needed is bad here.
  bool deliver_from(const BatchHeader& header, Bytes batch);
  bool wanted(const RecordHeader& header) const;
  bool done() const { return stopped_ || at_ >= end_; }
  std::unexpected<Error> broken(const std::string& what) const;

  LogView& view_;
  StreamId stream_;
  Direction direction_;
  std::uint64_t at_, end_;
  const Reader::Sink& sink_;
  bool stopped_ = false;
};

}  // namespace holdfast::log
