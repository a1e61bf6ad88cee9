// The connection record: what the log keeps of a connection, byte for byte (docs/log-format.md, "Connection record").
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "log/record.h"
#include "tcp/connection.h"

namespace holdfast::gate {

struct ConnectionRecord {
  tcp::Snapshot snapshot;
  std::uint8_t service = 0;  // stack::ServiceKind
  std::uint64_t opened = 0;  // wall-clock nanoseconds since 1970, for people
};

// Fixed-size encoding, little-endian, with a version byte.
inline constexpr std::size_t kConnectionRecordSize = 96;
using EncodedConnectionRecord = std::array<std::byte, kConnectionRecordSize>;

EncodedConnectionRecord encode(const ConnectionRecord& record);
// Fails on a newer version, too few bytes or a value out of range. What follows the fixed part is decode_outbound()'s.
Result<ConnectionRecord> decode_connection_record(Bytes bytes);

// In the log the fixed part is followed by where the unacknowledged outbound bytes lie: u32 count, then extents of 32
// bytes.
inline constexpr std::size_t kEncodedExtentSize = 32;
inline constexpr std::size_t kMaxOutboundExtents = 4000;
std::vector<std::byte> encode(const ConnectionRecord& record, const std::deque<log::Extent>& outbound);
Result<std::vector<log::Extent>> decode_outbound(Bytes bytes);

}  // namespace holdfast::gate
