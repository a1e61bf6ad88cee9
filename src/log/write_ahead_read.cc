// What was appended, read back: from memory where it is still there, else from the first location with a good copy.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "log/record_codec.h"
#include "log/source.h"
#include "log/write_ahead_log.h"

namespace holdfast::log {
namespace {

constexpr std::size_t kMostGoodBatches = 64;

}  // namespace

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

bool WriteAheadLog::lies_in_a_good_batch(location::Location& location, const Extent& extent) {
  const auto known = std::ranges::find_if(good_batches_, [&](const GoodBatch& batch) {
    return batch.location == &location && batch.segment == extent.segment && batch.begin <= extent.position &&
           extent.position < batch.end;
  });
  if (known != good_batches_.end()) return true;
  Source source(&location, key_);
  source.note_segment(extent.segment);
  // Where it begins is not known: back from the record, block by block.
  for (std::uint64_t at = extent.position / kBlock * kBlock; extent.position - at < kMaxBatch; at -= kBlock) {
    const BatchPosition begin{extent.segment, static_cast<std::uint32_t>(at)};
    const auto header = source.header_at(begin, false);
    if (header) {
      if (header->end() <= extent.position || !source.batch_at(begin, PayloadCheck::kSkip)) return false;
      if (good_batches_.size() >= kMostGoodBatches) good_batches_.erase(good_batches_.begin());
      good_batches_.push_back({&location, extent.segment, begin.offset, header->end()});
      return true;
    }
    if (at == 0) break;
  }
  return false;
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
  // A record's header has no checksum of its own: that of its batch covers it.
  if (in_memory == nullptr && !lies_in_a_good_batch(location, extent)) return bad("no good batch there");
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
