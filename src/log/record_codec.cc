#include "log/record_codec.h"

#include "base/assert.h"
#include "base/endian.h"

namespace holdfast::log {

void encode_record_header(const RecordHeader& header, std::byte* out) {
  out[0] = static_cast<std::byte>(header.type);
  out[1] = static_cast<std::byte>(header.flags);
  store_le<std::uint16_t>(out + 2, header.aux);
  store_le<std::uint32_t>(out + 4, header.length);
  store_le<std::uint64_t>(out + 8, header.stream.value);
  store_le<std::uint64_t>(out + 16, header.offset);
  store_le<std::uint32_t>(out + 24, header.crc);
  store_le<std::uint32_t>(out + 28, header.extra);
}

std::optional<RecordHeader> decode_record_header(const std::byte* at) {
  const auto type = static_cast<std::uint8_t>(at[0]);
  if (type < static_cast<std::uint8_t>(RecordType::kConnection) ||
      type > static_cast<std::uint8_t>(RecordType::kCheckpointEnd)) {
    return std::nullopt;
  }
  RecordHeader header;
  header.type = static_cast<RecordType>(type);
  header.flags = static_cast<std::uint8_t>(at[1]);
  header.aux = load_le<std::uint16_t>(at + 2);
  header.length = load_le<std::uint32_t>(at + 4);
  header.stream = StreamId{load_le<std::uint64_t>(at + 8)};
  header.offset = load_le<std::uint64_t>(at + 16);
  header.crc = load_le<std::uint32_t>(at + 24);
  header.extra = load_le<std::uint32_t>(at + 28);
  if (header.length > kMaxRecordPayload) return std::nullopt;
  if (header.type == RecordType::kOut && header.length < kCommitPrefix) return std::nullopt;
  return header;
}

Extent extent_of(const RecordHeader& header, SegmentNumber segment, std::uint32_t position) {
  Extent extent;
  extent.segment = segment;
  extent.position = position;
  extent.length = header.length;
  if (header.type == RecordType::kOut) extent.length -= static_cast<std::uint32_t>(kCommitPrefix);
  extent.offset = header.offset;
  extent.type = header.type;
  extent.flags = header.flags;
  return extent;
}

Bytes data_of(const RecordHeader& header, Bytes payload) {
  return header.type == RecordType::kOut ? payload.subspan(kCommitPrefix) : payload;
}

std::optional<Record> RecordWalk::next() {
  if (malformed_ || at_ == records_.size()) return std::nullopt;
  malformed_ = true;
  if (records_.size() - at_ < kRecordHeaderSize) return std::nullopt;
  const auto header = decode_record_header(records_.data() + at_);
  if (!header || records_.size() - at_ < record_size(header->length)) return std::nullopt;
  malformed_ = false;
  Record record{*header, records_.subspan(at_ + kRecordHeaderSize, header->length), static_cast<std::uint32_t>(at_)};
  at_ += record_size(header->length);
  return record;
}

EncodedEpochStart encode_epoch_start(const EpochStart& start) {
  EncodedEpochStart out{};
  store_le<std::uint64_t>(out.data(), start.previous.counter);
  store_le<std::uint64_t>(out.data() + 8, start.previous.id);
  store_le<std::uint64_t>(out.data() + 16, start.previous_first_segment.value);
  store_le<std::uint64_t>(out.data() + 24, start.end_lsn.value);
  store_le<std::uint64_t>(out.data() + 32, start.end_mac);
  store_le<std::uint64_t>(out.data() + 40, start.end_segment.value);
  store_le<std::uint32_t>(out.data() + 48, start.end_offset);
  return out;
}

std::optional<EpochStart> decode_epoch_start(Bytes payload) {
  if (payload.size() != kEpochStartSize) return std::nullopt;
  EpochStart start;
  start.previous.counter = load_le<std::uint64_t>(payload.data());
  start.previous.id = load_le<std::uint64_t>(payload.data() + 8);
  start.previous_first_segment = SegmentNumber{load_le<std::uint64_t>(payload.data() + 16)};
  start.end_lsn = Lsn{load_le<std::uint64_t>(payload.data() + 24)};
  start.end_mac = load_le<std::uint64_t>(payload.data() + 32);
  start.end_segment = SegmentNumber{load_le<std::uint64_t>(payload.data() + 40)};
  start.end_offset = load_le<std::uint32_t>(payload.data() + 48);
  return start;
}

}  // namespace holdfast::log
