// The connection record: what the log keeps of a connection, byte for byte (docs/log-format.md, "Connection record").
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <ranges>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "log/log.h"
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

// In the log the fixed part is followed by where unacknowledged outbound bytes lie: u32 count, then extents of 32
// bytes. A record lists as many as fit; where there are more, a checkpoint writes several records of the connection one
// after the other, and what they list adds up.
inline constexpr std::size_t kEncodedExtentSize = 32;
inline constexpr std::size_t kMaxOutboundExtents = 4000;
using Extents = std::deque<log::Extent>;  // ascending
using ExtentRange = std::ranges::subrange<Extents::const_iterator>;
// As many as fit into a record: the last ones; and those from an offset on.
ExtentRange newest_extents(const Extents& all);
ExtentRange extents_from(const Extents& all, std::uint64_t offset);
std::vector<std::byte> encode(const ConnectionRecord& record, const ExtentRange& outbound);
constexpr std::size_t encoded_size(std::size_t extents) {
  return kConnectionRecordSize + 4 + extents * kEncodedExtentSize;
}
static_assert(encoded_size(kMaxOutboundExtents) <= log::kMaxPayload);
Result<std::vector<log::Extent>> decode_outbound(Bytes bytes);

}  // namespace holdfast::gate
