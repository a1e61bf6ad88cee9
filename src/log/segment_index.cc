#include "log/segment_index.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/endian.h"

namespace holdfast::log {
namespace {

constexpr std::uint64_t kFooterMagic = 0x3152544f4f464648ULL;  // "HFFOOTR1"
constexpr std::size_t kTrailerMacAt = 120;
constexpr std::size_t kSmallTable = 64;

std::uint64_t size_of_footer(std::uint64_t streams, std::uint64_t batches) {
  return round_up(streams * kStreamSummarySize + round_up(batches * 4, 8) + kFooterTrailerSize, kBlock);
}

void encode_summary(const StreamSummary& in, std::byte* out) {
  store_le<std::uint64_t>(out, in.stream.value);
  store_le<std::uint64_t>(out + 8, in.in_begin);
  store_le<std::uint64_t>(out + 16, in.in_end);
  store_le<std::uint64_t>(out + 24, in.out_begin);
  store_le<std::uint64_t>(out + 32, in.out_end);
  store_le<std::uint64_t>(out + 40, in.consumed);
  store_le<std::uint32_t>(out + 48, in.first_position);
  store_le<std::uint32_t>(out + 52, in.last_position);
  store_le<std::uint32_t>(out + 56, in.connection_position);
  store_le<std::uint32_t>(out + 60, in.close_reason);
  store_le<std::uint32_t>(out + 64, in.flags);
  store_le<std::uint32_t>(out + 68, 0);
}

StreamSummary decode_summary(const std::byte* in) {
  StreamSummary out;
  out.stream = StreamId{load_le<std::uint64_t>(in)};
  out.in_begin = load_le<std::uint64_t>(in + 8);
  out.in_end = load_le<std::uint64_t>(in + 16);
  out.out_begin = load_le<std::uint64_t>(in + 24);
  out.out_end = load_le<std::uint64_t>(in + 32);
  out.consumed = load_le<std::uint64_t>(in + 40);
  out.first_position = load_le<std::uint32_t>(in + 48);
  out.last_position = load_le<std::uint32_t>(in + 52);
  out.connection_position = load_le<std::uint32_t>(in + 56);
  out.close_reason = load_le<std::uint32_t>(in + 60);
  out.flags = load_le<std::uint32_t>(in + 64);
  return out;
}

void extend(bool known, std::uint64_t& begin, std::uint64_t& end, std::uint64_t from, std::uint64_t to) {
  begin = known ? std::min(begin, from) : from;
  end = known ? std::max(end, to) : to;
}

}  // namespace

SegmentIndex::SegmentIndex() : table_(kSmallTable) {}

void SegmentIndex::expect(std::size_t streams) {
  streams_.reserve(streams);
  batches_.reserve(streams);
  table_.assign(std::bit_ceil(2 * streams), 0);
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    table_[probe(streams_[i].stream)] = static_cast<std::uint32_t>(i + 1);
  }
}

void SegmentIndex::reset(SegmentNumber segment, Epoch epoch) {
  segment_ = segment;
  epoch_ = epoch;
  last_lsn_ = Lsn{};
  data_end_ = 0;
  sealed_at_ = 0;
  streams_.clear();
  batches_.clear();
  std::ranges::fill(table_, 0);
  last_stream_ = StreamId{};
}

void SegmentIndex::add_batch(BatchPosition at) {
  HF_ASSERT(at.segment == segment_);
  batches_.push_back(at.offset);
}

std::size_t SegmentIndex::probe(StreamId stream) const {
  const std::size_t mask = table_.size() - 1;
  std::size_t at = static_cast<std::size_t>((stream.value * 0x9e3779b97f4a7c15ULL) >> 32) & mask;
  while (table_[at] != 0 && streams_[table_[at] - 1].stream != stream) at = (at + 1) & mask;
  return at;
}

bool SegmentIndex::insert(const StreamSummary& fresh) {
  if (2 * (streams_.size() + 1) > table_.size()) expect(streams_.size() + 1 + table_.size() / 2);
  const std::size_t at = probe(fresh.stream);
  if (table_[at] != 0) return false;
  streams_.push_back(fresh);
  table_[at] = static_cast<std::uint32_t>(streams_.size());
  return true;
}

StreamSummary& SegmentIndex::summary(StreamId stream, std::uint32_t position) {
  if (stream == last_stream_) return streams_[last_slot_];
  std::size_t at = probe(stream);
  if (table_[at] == 0) {
    StreamSummary fresh;
    fresh.stream = stream;
    fresh.first_position = position;
    insert(fresh);
    at = probe(stream);
  }
  last_stream_ = stream;
  last_slot_ = table_[at] - 1;
  return streams_[last_slot_];
}

void SegmentIndex::add_record(const RecordHeader& header, std::uint32_t position, std::uint64_t consumed) {
  if (header.stream.value == 0) return;  // the log's own
  using S = StreamSummary;
  S& entry = summary(header.stream, position);
  entry.last_position = position;
  const Extent extent = extent_of(header, segment_, position);
  const std::uint64_t end = extent.offset + extent.length;
  switch (header.type) {
    case RecordType::kConnection:
      entry.connection_position = position;
      break;
    case RecordType::kIn:
      extend(entry.has(S::kHasIn), entry.in_begin, entry.in_end, extent.offset, end);
      entry.flags |= S::kHasIn | ((header.flags & kFin) != 0 ? S::kInFin : 0);
      if ((header.flags & kEcho) == 0) break;
      extend(entry.has(S::kHasOut), entry.out_begin, entry.out_end, extent.offset, end);
      entry.flags |= S::kHasOut | ((header.flags & kFin) != 0 ? S::kOutFin : 0);
      break;
    case RecordType::kOut:
      if ((header.flags & kAnew) != 0) break;
      extend(entry.has(S::kHasOut), entry.out_begin, entry.out_end, extent.offset, end);
      entry.flags |= S::kHasOut | S::kHasCommit | ((header.flags & kFin) != 0 ? S::kOutFin : 0);
      entry.consumed = consumed;
      break;
    case RecordType::kClose:
      entry.flags |= S::kClosed;
      entry.close_reason = header.extra;
      break;
    default:
      break;
  }
}

void SegmentIndex::add_stored_batch(const BatchHeader& header, Bytes batch) {
  add_batch(header.at);
  RecordWalk walk(body_of(header, batch));
  while (const auto record = walk.next()) {
    const bool commit = record->header.type == RecordType::kOut;
    add_record(record->header, header.at.offset + static_cast<std::uint32_t>(kBatchHeaderSize) + record->at,
               commit ? load_le<std::uint64_t>(record->payload.data()) : 0);
  }
  finish_batch(header.lsn, header.end());
}

void SegmentIndex::finish_batch(Lsn lsn, std::uint32_t end) {
  last_lsn_ = lsn;
  data_end_ = end;
}

const StreamSummary* SegmentIndex::find(StreamId stream) const {
  const std::uint32_t found = table_[probe(stream)];
  return found == 0 ? nullptr : &streams_[found - 1];
}

std::uint64_t SegmentIndex::footer_size(std::size_t more_streams, std::size_t more_batches) const {
  return size_of_footer(streams_.size() + more_streams, batches_.size() + more_batches);
}

std::uint64_t SegmentIndex::Trailer::size() const { return size_of_footer(stream_count, batch_count); }

void SegmentIndex::encode(const LogKey& key, MutableBytes out) const {
  HF_ASSERT(out.size() == footer_size());
  std::ranges::fill(out, std::byte{0});
  std::byte* at = out.data();
  for (const StreamSummary& stream : streams_) {
    encode_summary(stream, at);
    at += kStreamSummarySize;
  }
  for (const std::uint32_t batch : batches_) {
    store_le<std::uint32_t>(at, batch);
    at += 4;
  }
  const auto entries = static_cast<std::size_t>(at - out.data());
  std::byte* trailer = out.data() + out.size() - kFooterTrailerSize;
  store_le<std::uint64_t>(trailer, kFooterMagic);
  store_le<std::uint32_t>(trailer + 8, kFormat);
  std::memcpy(trailer + 16, key.id.data(), key.id.size());
  store_le<std::uint64_t>(trailer + 32, segment_.value);
  store_le<std::uint64_t>(trailer + 40, epoch_.counter);
  store_le<std::uint64_t>(trailer + 48, epoch_.id);
  store_le<std::uint64_t>(trailer + 56, last_lsn_.value);
  store_le<std::uint32_t>(trailer + 64, data_end_);
  store_le<std::uint32_t>(trailer + 68, static_cast<std::uint32_t>(streams_.size()));
  store_le<std::uint32_t>(trailer + 72, static_cast<std::uint32_t>(batches_.size()));
  store_le<std::uint32_t>(trailer + 76, crc32c(0, Bytes(out.data(), entries)));
  store_le<std::uint64_t>(trailer + 80, sealed_at_);
  store_le<std::uint64_t>(trailer + kTrailerMacAt, prf(key.mac, Bytes(trailer, kTrailerMacAt)));
}

std::optional<SegmentIndex::Trailer> SegmentIndex::decode_trailer(Bytes last_block, const LogKey& key,
                                                                  SegmentNumber segment) {
  if (last_block.size() < kFooterTrailerSize) return std::nullopt;
  const std::byte* in = last_block.data() + last_block.size() - kFooterTrailerSize;
  if (load_le<std::uint64_t>(in) != kFooterMagic || load_le<std::uint32_t>(in + 8) != kFormat) return std::nullopt;
  if (std::memcmp(in + 16, key.id.data(), key.id.size()) != 0) return std::nullopt;
  if (load_le<std::uint64_t>(in + kTrailerMacAt) != prf(key.mac, Bytes(in, kTrailerMacAt))) return std::nullopt;
  Trailer trailer;
  trailer.segment = SegmentNumber{load_le<std::uint64_t>(in + 32)};
  if (trailer.segment != segment) return std::nullopt;
  trailer.epoch = {load_le<std::uint64_t>(in + 40), load_le<std::uint64_t>(in + 48)};
  trailer.last_lsn = Lsn{load_le<std::uint64_t>(in + 56)};
  trailer.data_end = load_le<std::uint32_t>(in + 64);
  trailer.stream_count = load_le<std::uint32_t>(in + 68);
  trailer.batch_count = load_le<std::uint32_t>(in + 72);
  trailer.entries_crc = load_le<std::uint32_t>(in + 76);
  trailer.sealed_at = load_le<std::uint64_t>(in + 80);
  if (trailer.size() + trailer.data_end > key.segment_size) return std::nullopt;
  return trailer;
}

std::optional<SegmentIndex> SegmentIndex::decode(Bytes footer, const Trailer& trailer) {
  if (footer.size() != trailer.size()) return std::nullopt;
  const std::size_t entries =
      std::size_t{trailer.stream_count} * kStreamSummarySize + std::size_t{trailer.batch_count} * 4;
  if (crc32c(0, footer.first(entries)) != trailer.entries_crc) return std::nullopt;
  SegmentIndex index;
  index.reset(trailer.segment, trailer.epoch);
  index.sealed_at(trailer.sealed_at);
  const std::byte* at = footer.data();
  for (std::uint32_t i = 0; i < trailer.stream_count; ++i, at += kStreamSummarySize) {
    if (!index.insert(decode_summary(at))) return std::nullopt;
  }
  for (std::uint32_t i = 0; i < trailer.batch_count; ++i, at += 4) {
    const auto offset = load_le<std::uint32_t>(at);
    const bool ascending = index.batches_.empty() ? offset == 0 : offset > index.batches_.back();
    if (!ascending || offset % kBlock != 0 || offset >= trailer.data_end) return std::nullopt;
    index.batches_.push_back(offset);
  }
  index.finish_batch(trailer.last_lsn, trailer.data_end);
  return index;
}

}  // namespace holdfast::log
