#include "log/batch_builder.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/endian.h"

namespace holdfast::log {

void BatchBuilder::begin(std::byte* buffer, std::size_t limit) {
  HF_ASSERT(limit % kBlock == 0 && limit >= kBlock);
  buffer_ = buffer;
  limit_ = limit;
  used_ = kBatchHeaderSize;
  count_ = 0;
}

bool BatchBuilder::can_merge(const RecordHeader& header, Bytes payload) const {
  return count_ > 0 && header.type == RecordType::kIn && last_.type == RecordType::kIn &&
         header.stream == last_.stream && header.flags == last_.flags && (header.flags & kFin) == 0 &&
         header.offset == last_.offset + last_.length && !payload.empty() && payload.size() <= kMovePiece &&
         last_.length + payload.size() <= kMergeLimit;
}

BatchBuilder::Appended BatchBuilder::merge(const RecordHeader& header, Bytes payload) {
  std::byte* end = buffer_ + last_at_ + kRecordHeaderSize + last_.length;
  std::memmove(end, payload.data(), payload.size());
  last_.crc = crc32c(last_.crc, Bytes(end, payload.size()));
  last_.length += static_cast<std::uint32_t>(payload.size());
  // The edge is absolute: end of the bytes + extra. It never retreats.
  const std::uint32_t shrunk =
      last_.extra > payload.size() ? last_.extra - static_cast<std::uint32_t>(payload.size()) : 0;
  last_.extra = std::max(header.extra, shrunk);
  encode_record_header(last_, buffer_ + last_at_);
  used_ = last_at_ + record_size(last_.length);
  std::byte* data_end = end + payload.size();
  std::fill(data_end, buffer_ + used_, std::byte{0});
  return {last_, static_cast<std::uint32_t>(last_at_), true};
}

BatchBuilder::Appended BatchBuilder::append(RecordHeader header, Bytes payload, std::uint64_t consumed) {
  if (can_merge(header, payload)) return merge(header, payload);
  const std::size_t prefix = header.type == RecordType::kOut ? kCommitPrefix : 0;
  header.length = static_cast<std::uint32_t>(prefix + payload.size());
  HF_ASSERT(record_size(header.length) <= room());
  std::byte* at = buffer_ + used_;
  std::byte* data = at + kRecordHeaderSize + prefix;
  if (!payload.empty() && payload.data() != data) std::memmove(data, payload.data(), payload.size());
  if (prefix != 0) store_le<std::uint64_t>(at + kRecordHeaderSize, consumed);
  header.crc = crc32c(0, Bytes(at + kRecordHeaderSize, header.length));
  encode_record_header(header, at);
  last_ = header;
  last_at_ = used_;
  ++count_;
  used_ += record_size(header.length);
  std::fill(at + kRecordHeaderSize + header.length, buffer_ + used_, std::byte{0});
  return {last_, static_cast<std::uint32_t>(last_at_), false};
}

void BatchBuilder::finish(const LogKey& key, BatchHeader& header) {
  header.body_length = static_cast<std::uint32_t>(used_ - kBatchHeaderSize);
  header.record_count = count_;
  header.body_tag = 0;
  RecordWalk walk(Bytes(buffer_ + kBatchHeaderSize, header.body_length));
  while (const auto record = walk.next()) {
    header.body_tag = extend_body_tag(key, header.body_tag, buffer_ + kBatchHeaderSize + record->at);
  }
  HF_ASSERT(!walk.malformed());
  std::fill(buffer_ + used_, buffer_ + header.size(), std::byte{0});
  buffer_ = nullptr;
}

}  // namespace holdfast::log
