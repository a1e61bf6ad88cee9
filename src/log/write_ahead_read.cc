// What was appended, read back: from memory where it is still there, else from the first location with a good copy.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "log/record_codec.h"
#include "log/source.h"
#include "log/write_ahead_log.h"

namespace holdfast::log {
namespace {

constexpr std::size_t kMostGoodBatches = 16384;  // of the least size, more than lie between two checkpoints
constexpr std::size_t kSearchPiece = 64U << 10;  // bytes
static_assert(kSearchPiece <= kMaxRecordPayload);

}  // namespace

Result<void> WriteAheadLog::read(const Extent& extent, std::uint64_t from_offset, MutableBytes into) {
  const std::uint64_t end = extent.offset + extent.length;
  if (from_offset < extent.offset || from_offset > end || into.size() > end - from_offset) {
    return fail(Error::Kind::kUsage, "the range lies outside the extent");
  }
  std::string problems;
  auto kind = Error::Kind::kCorrupt;
  for (const Replica& replica : replicas_) {
    if (!replica.active()) continue;
    const auto done = read_from(*replica.location(), extent, from_offset, into);
    if (done) return {};
    if (done.error().kind == Error::Kind::kTimeout) kind = Error::Kind::kTimeout;  // it may yet be read
    problems += fmt::format("{}{}", problems.empty() ? "" : "; ", done.error().message);
  }
  return fail(
      kind, fmt::format("bytes [{}, {}) in segment {} at {} cannot be read: {}", from_offset, from_offset + into.size(),
                        extent.segment.value, extent.position, problems.empty() ? "no location is active" : problems));
}

// Where the batch of a record begins is not known: back from there.
Result<std::optional<BatchHeader>> WriteAheadLog::header_before(location::Location& location, const Extent& extent) {
  const std::uint64_t highest = extent.position / kBlock * kBlock;
  const std::uint64_t lowest = highest - std::min<std::uint64_t>(highest, kMaxBatch - kBlock);
  for (std::uint64_t end = highest + kBlock; end > lowest;) {
    const std::uint64_t begin = std::max(lowest, end - std::min<std::uint64_t>(end, kSearchPiece));
    const MutableBytes piece(scratch_.data(), end - begin);
    if (auto done = location.read(extent.segment, begin, piece); !done) return std::unexpected(done.error());
    for (; end > begin; end -= kBlock) {
      const BatchPosition at{extent.segment, static_cast<std::uint32_t>(end - kBlock)};
      if (auto header = decode_batch_header(piece.subspan(at.offset - begin, kBlock), key_, at)) return header;
    }
  }
  return std::nullopt;
}

Result<bool> WriteAheadLog::lies_in_a_good_batch(location::Location& location, const Extent& extent) {
  // The last good one that begins there or before.
  auto known = good_batches_.upper_bound({&location, extent.segment, extent.position});
  if (known != good_batches_.begin()) {
    const auto& [place, end] = *--known;
    if (place.location == &location && place.segment == extent.segment && extent.position < end) return true;
  }
  const auto found = header_before(location, extent);
  if (!found) return std::unexpected(found.error());
  const auto& header = *found;
  if (!header || header->end() <= extent.position) return false;
  Source source(&location, key_);
  source.note_segment(extent.segment);
  const auto batch = source.view(extent.segment, header->at.offset, header->size(), false);
  if (!batch && source.unanswered()) return fail(Error::Kind::kTimeout, *source.unanswered());
  if (!batch || !check_body(*header, key_, *batch, PayloadCheck::kSkip)) return false;
  if (good_batches_.size() >= kMostGoodBatches) good_batches_.clear();
  good_batches_[{&location, extent.segment, header->at.offset}] = header->end();
  return true;
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
  if (in_memory == nullptr) {
    const auto good = lies_in_a_good_batch(location, extent);
    if (!good) return std::unexpected(good.error());
    if (!*good) return bad("no good batch there");
  }
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
