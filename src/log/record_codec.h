// Records to bytes and back (docs/log-format.md, "Record"). Pure functions; decoding trusts nothing.
#pragma once

#include <optional>

#include "base/units.h"
#include "log/format.h"
#include "log/record.h"

namespace holdfast::log {

// Bytes that a record with `payload` bytes of payload takes.
constexpr std::size_t record_size(std::size_t payload) {
  return kRecordHeaderSize + static_cast<std::size_t>(round_up(payload, kRecordAlignment));
}

void encode_record_header(const RecordHeader& header, std::byte* out);
// Nullopt for a type that this program does not know, or a payload that is too long. `at` has kRecordHeaderSize bytes.
std::optional<RecordHeader> decode_record_header(const std::byte* at);

// The extent of a record whose header lies at `position`.
Extent extent_of(const RecordHeader& header, SegmentNumber segment, std::uint32_t position);

// The data of a kIn or kOut record's payload: without the commit prefix.
Bytes data_of(const RecordHeader& header, Bytes payload);

struct Record {
  RecordHeader header;
  Bytes payload;
  std::uint32_t at = 0;  // byte position of the header in the walked bytes
};

// Walks records one after the other. Ends early, with malformed() set, where one does not fit.
class RecordWalk {
 public:
  explicit RecordWalk(Bytes records) : records_(records) {}
  std::optional<Record> next();
  bool malformed() const { return malformed_; }

 private:
  Bytes records_;
  std::size_t at_ = 0;
  bool malformed_ = false;
};

// What an epoch-start record says: where the epoch before ended. All zero for a log's first epoch.
struct EpochStart {
  Epoch previous;
  SegmentNumber previous_first_segment;
  Lsn end_lsn;
  std::uint64_t end_mac = 0;
  SegmentNumber end_segment;
  std::uint32_t end_offset = 0;  // bytes: where the last batch ends
};
inline constexpr std::size_t kEpochStartSize = 56;
using EncodedEpochStart = std::array<std::byte, kEpochStartSize>;
EncodedEpochStart encode_epoch_start(const EpochStart& start);
std::optional<EpochStart> decode_epoch_start(Bytes payload);

}  // namespace holdfast::log
