// What was appended, read back: from memory where it is still there, else from the first location with a good copy.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "log/record_codec.h"
#include "log/write_ahead_log.h"

namespace holdfast::log {

Result<void> WriteAheadLog::read(const Extent& extent, std::uint64_t from_offset, MutableBytes into) {
  const std::uint64_t end = extent.offset + extent.length;
  if (from_offset < extent.offset || from_offset > end || into.size() > end - from_offset) {
    return fail(Error::Kind::kUsage, "the range lies outside the extent");
  }
  std::string problems;
  for (const Replica& replica : replicas_) {
    if (!replica.active()) continue;
    const auto done = read_from(*replica.location(), extent, from_offset, into);
    if (done) return {};
    problems += fmt::format("{}{}", problems.empty() ? "" : "; ", done.error().message);
  }
  return fail(Error::Kind::kCorrupt, fmt::format("bytes [{}, {}) in segment {} at {} cannot be read: {}", from_offset,
                                                 from_offset + into.size(), extent.segment.value, extent.position,
                                                 problems.empty() ? "no location is active" : problems));
}

Result<void> WriteAheadLog::read_from(location::Location& location, const Extent& extent, std::uint64_t from_offset,
                                      MutableBytes into) {
  const BatchSlot* in_memory = slots_.holding(extent.segment, extent.position);
  std::size_t in_memory_size = in_memory == nullptr ? 0 : in_memory->header.size();
  if (builder_.active() && slots_[open_slot_].header.at.segment == extent.segment &&
      slots_[open_slot_].header.at.offset <= extent.position) {
    in_memory = &slots_[open_slot_];
    in_memory_size = builder_.used();
  }
  std::array<std::byte, kRecordHeaderSize> header_bytes;
  const auto fetch = [&](std::uint64_t at, MutableBytes out) -> Result<void> {
    if (in_memory == nullptr) return location.read(extent.segment, at, out);
    const std::uint64_t from = at - in_memory->header.at.offset;
    if (from + out.size() > in_memory_size) return fail(Error::Kind::kUsage, "not a record's position");
    std::copy_n(in_memory->buffer.data() + from, out.size(), out.begin());
    return {};
  };
  const auto bad = [&](const char* what) {
    return fail(Error::Kind::kCorrupt, fmt::format("{}: {}", location.name(), what));
  };
  if (auto done = fetch(extent.position, header_bytes); !done) return done;
  const auto header = decode_record_header(header_bytes.data());
  if (!header || header->type != extent.type) return bad("no such record there");
  const Extent whole = extent_of(*header, extent.segment, extent.position);
  if (whole.offset > extent.offset || whole.offset + whole.length < extent.offset + extent.length) {
    return bad("the record there has another range");
  }
  const MutableBytes payload(scratch_.data(), header->length);
  if (auto done = fetch(std::uint64_t{extent.position} + kRecordHeaderSize, payload); !done) return done;
  if (!payload_matches(*header, payload)) return bad("the payload's checksum does not match");
  std::ranges::copy(data_of(*header, payload).subspan(from_offset - whole.offset, into.size()), into.begin());
  return {};
}

}  // namespace holdfast::log
