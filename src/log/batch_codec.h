// Batches to bytes and back (docs/log-format.md, "Batch"). Pure functions. Decoding trusts nothing: what passes was
// written by an owner of this log, for this very place.
#pragma once

#include <optional>

#include "base/units.h"
#include "log/format.h"
#include "log/record_codec.h"

namespace holdfast::log {

struct BatchHeader {
  BatchPosition at;
  Epoch epoch;
  SegmentNumber epoch_segment;  // the epoch's first segment: its epoch-start batch lies at offset 0 there
  Lsn lsn;
  Lsn durable;  // known when the batch was issued
  std::uint64_t clock_ceiling = 0;
  std::uint64_t next_stream = 1;            // above every stream id used so far
  std::uint64_t predecessor = 0;            // MAC of the batch before it; 0 for a log's first
  std::optional<BatchPosition> checkpoint;  // batch that holds the begin of the last complete checkpoint
  std::uint32_t body_length = 0;            // bytes of records
  std::uint32_t record_count = 0;
  std::uint64_t body_tag = 0;  // keyed tag over the record headers, which hold the payloads' checksums
  std::uint64_t mac = 0;       // filled in by encode and decode

  // With padding.
  std::uint32_t size() const { return static_cast<std::uint32_t>(round_up(kBatchHeaderSize + body_length, kBlock)); }
  std::uint32_t end() const { return at.offset + size(); }
};

// Returns the MAC.
std::uint64_t encode_batch_header(const BatchHeader& header, const LogKey& key, std::byte* out);

// The header at `at`, if it is one that was written there. `block` has at least kBatchHeaderSize bytes.
std::optional<BatchHeader> decode_batch_header(Bytes block, const LogKey& key, BatchPosition at);

// Tag over one more record header; starts with 0.
std::uint64_t extend_body_tag(const LogKey& key, std::uint64_t tag, const std::byte* record_header);

// Whether the records of a batch are those that its header speaks of. `batch` has header.size() bytes.
enum class PayloadCheck : std::uint8_t { kVerify, kSkip };
bool check_body(const BatchHeader& header, const LogKey& key, Bytes batch, PayloadCheck payloads);

bool payload_matches(const RecordHeader& header, Bytes payload);

// The records of a batch.
inline Bytes body_of(const BatchHeader& header, Bytes batch) {
  return batch.subspan(kBatchHeaderSize, header.body_length);
}

}  // namespace holdfast::log
