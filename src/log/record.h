// What the log stores: records, in batches. docs/log-format.md has every byte; this header has the names.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace holdfast::log {

enum class RecordType : std::uint8_t {
  kConnection = 1,  // a connection's whole record (gate/connection_record.h): opened, or changed; the last one counts
  kIn = 2,          // inbound bytes [offset, offset + length)
  kOut = 3,         // commit: 8 bytes "input consumed up to" (u64), then outbound bytes from `offset` on
  kClose = 4,       // the connection is gone; `extra` is the reason
  kEpochStart = 5,  // first record of an epoch: where the one before it ended (the log's own)
  kCheckpointBegin = 6,  // the log's own; `offset` is the first segment that is kept, 0: all
  kCheckpointEnd = 7,    // `offset` is the LSN of the batch that holds its begin (the log's own)
};

// Record flags.
inline constexpr std::uint8_t kFin = 1;  // kIn, kOut: the direction ends after these bytes (which may be none)
// kOut: a copy for the connection alone, of bytes whose segment is to be released; no part of what readers are shown.
inline constexpr std::uint8_t kAnew = 4;
inline constexpr std::uint8_t kEcho = 2;  // kIn: the same bytes are at once the outbound bytes of the same offsets

// 32 bytes in the log, little-endian, in this order; followed by `length` payload bytes, padded with zeros to 8.
struct RecordHeader {
  RecordType type = RecordType::kConnection;
  std::uint8_t flags = 0;
  std::uint16_t aux = 0;     // 0
  std::uint32_t length = 0;  // payload bytes
  StreamId stream;           // 0 for the log's own records
  std::uint64_t offset = 0;  // kIn, kOut: stream offset of the first data byte
  std::uint32_t crc = 0;     // CRC32C of the payload; filled in by the log
  std::uint32_t extra = 0;   // kIn: highest edge that may be advertised, in bytes above the end of these bytes
};
inline constexpr std::size_t kRecordHeaderSize = 32;
inline constexpr std::size_t kBatchHeaderSize = 128;
inline constexpr std::size_t kCommitPrefix = 8;  // kOut: the "consumed" field in front of the data

// A start or takeover of a log. Order is by counter; the random id tells apart two owners that drew the same counter.
struct Epoch {
  std::uint64_t counter = 0;
  std::uint64_t id = 0;
  friend constexpr auto operator<=>(const Epoch&, const Epoch&) = default;
};

// Where a range of a stream lies. `position` is the byte position in the segment of the *record header*.
struct Extent {
  SegmentNumber segment;
  std::uint32_t position = 0;
  std::uint32_t length = 0;  // data bytes (without the commit prefix)
  std::uint64_t offset = 0;  // stream offset of the first
  RecordType type = RecordType::kIn;
  std::uint8_t flags = 0;
};

}  // namespace holdfast::log
