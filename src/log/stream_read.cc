#include "log/stream_read.h"

#include <fmt/core.h>

#include <algorithm>

namespace holdfast::log {

std::unexpected<Error> StreamRead::broken(const std::string& what) const {
  return fail(Error::Kind::kCorrupt, fmt::format("stream {} {} [{}, {}): {}", stream_.value,
                                                 direction_ == Direction::kIn ? "in" : "out", at_, end_, what));
}

Result<void> StreamRead::run(const std::vector<SegmentNumber>& segments) {
  for (const SegmentNumber segment : segments) {
    if (done()) return {};
    const auto index = view_.index_of(segment);
    if (!index) return broken(index.error().message);
    const StreamSummary* summary = index->find(stream_);
    if (summary == nullptr) continue;
    if (auto read = read_segment(*index, *summary); !read) return read;
  }
  if (done()) return {};
  return broken(view_.info().damage.empty() ? "these bytes are not in the log" : view_.info().damage.front());
}

Result<void> StreamRead::read_segment(const SegmentIndex& index, const StreamSummary& summary) {
  const bool in = direction_ == Direction::kIn;
  if (!summary.has(in ? StreamSummary::kHasIn : StreamSummary::kHasOut)) return {};
  if ((in ? summary.in_end : summary.out_end) <= at_) return {};
  const auto& batches = index.batches();
  auto batch = std::ranges::upper_bound(batches, summary.first_position);
  if (batch != batches.begin()) --batch;
  for (; batch != batches.end() && *batch <= summary.last_position && !done(); ++batch) {
    if (auto read = read_batch({index.segment(), *batch}, index.epoch()); !read) return read;
  }
  return {};
}

bool StreamRead::wanted(const RecordHeader& header) const {
  if (header.stream != stream_) return false;
  if (direction_ == Direction::kIn) return header.type == RecordType::kIn;
  if (header.type == RecordType::kOut) return (header.flags & kAnew) == 0;
  return (header.type == RecordType::kIn && (header.flags & kEcho) != 0);
}

bool StreamRead::deliver_from(const BatchHeader& header, Bytes batch) {
  RecordWalk walk(body_of(header, batch));
  while (!done()) {
    const auto record = walk.next();
    if (!record) break;
    if (!wanted(record->header)) continue;
    const Bytes data = data_of(record->header, record->payload);
    const std::uint64_t begin = record->header.offset;
    if (begin + data.size() <= at_) continue;
    if (begin > at_) return true;  // a gap: nothing behind it is in order
    if (!payload_matches(record->header, record->payload)) return false;
    const std::uint64_t take = std::min<std::uint64_t>(end_ - at_, data.size() - (at_ - begin));
    stopped_ = !sink_(StreamOffset{at_}, data.subspan(at_ - begin, take));
    at_ += take;
  }
  return true;
}

Result<void> StreamRead::read_batch(BatchPosition at, Epoch epoch) {
  std::string problems;
  for (Source* source : view_.chain().sources()) {
    const auto batch = source->batch_at(at, PayloadCheck::kSkip);
    const bool good = batch && batch->header.epoch == epoch && batch->header.lsn <= view_.durable_end();
    if (good && deliver_from(batch->header, batch->bytes)) return {};
    problems += fmt::format("{}{}: {}", problems.empty() ? "" : "; ", source->name(),
                            good ? "a payload's checksum does not match" : "no good batch there");
  }
  return broken(fmt::format("segment {} offset {}: {}", at.segment.value, at.offset, problems));
}

}  // namespace holdfast::log
