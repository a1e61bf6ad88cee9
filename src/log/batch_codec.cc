#include "log/batch_codec.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "base/mutant.h"

namespace holdfast::log {
namespace {

constexpr std::uint32_t kBatchMagic = 0x31424648;  // "HFB1"
constexpr std::uint32_t kNoCheckpoint = 0xffffffff;
constexpr std::size_t kMacAt = 120;

std::uint64_t header_mac(const LogKey& key, const std::byte* header) { return prf(key.mac, Bytes(header, kMacAt)); }

std::uint32_t segments_back(SegmentNumber from, SegmentNumber to) {
  HF_ASSERT(to <= from && from.value - to.value < kNoCheckpoint);
  return static_cast<std::uint32_t>(from.value - to.value);
}

}  // namespace

std::uint64_t encode_batch_header(const BatchHeader& header, const LogKey& key, std::byte* out) {
  store_le<std::uint32_t>(out, kBatchMagic);
  store_le<std::uint16_t>(out + 4, kFormat);
  store_le<std::uint16_t>(out + 6, 0);
  std::memcpy(out + 8, key.id.data(), key.id.size());
  store_le<std::uint64_t>(out + 24, header.at.segment.value);
  store_le<std::uint64_t>(out + 32, header.epoch.counter);
  store_le<std::uint64_t>(out + 40, header.epoch.id);
  store_le<std::uint64_t>(out + 48, header.lsn.value);
  store_le<std::uint64_t>(out + 56, header.durable.value);
  store_le<std::uint64_t>(out + 64, header.clock_ceiling);
  store_le<std::uint64_t>(out + 72, header.next_stream);
  store_le<std::uint64_t>(out + 80, header.predecessor);
  const bool has_checkpoint = header.checkpoint.has_value();
  store_le<std::uint32_t>(
      out + 88, has_checkpoint ? segments_back(header.at.segment, header.checkpoint->segment) : kNoCheckpoint);
  store_le<std::uint32_t>(out + 92,
                          has_checkpoint ? static_cast<std::uint32_t>(header.checkpoint->offset / kBlock) : 0);
  store_le<std::uint32_t>(out + 96, segments_back(header.at.segment, header.epoch_segment));
  // Offset (in blocks) and length share no byte: the position is part of what the MAC covers, against misdirected
  // writes.
  store_le<std::uint32_t>(out + 100, static_cast<std::uint32_t>(header.at.offset / kBlock));
  store_le<std::uint32_t>(out + 104, header.body_length);
  store_le<std::uint32_t>(out + 108, header.record_count);
  store_le<std::uint64_t>(out + 112, header.body_tag);
  const std::uint64_t mac = header_mac(key, out);
  store_le<std::uint64_t>(out + kMacAt, mac);
  return mac;
}

std::optional<BatchHeader> decode_batch_header(Bytes block, const LogKey& key, BatchPosition at) {
  const std::byte* in = block.data();
  if (block.size() < kBatchHeaderSize || load_le<std::uint32_t>(in) != kBatchMagic) return std::nullopt;
  if (load_le<std::uint16_t>(in + 4) != kFormat || load_le<std::uint16_t>(in + 6) != 0) return std::nullopt;
  if (std::memcmp(in + 8, key.id.data(), key.id.size()) != 0) return std::nullopt;
  BatchHeader header;
  header.mac = load_le<std::uint64_t>(in + kMacAt);
  if (header.mac != header_mac(key, in) && !HF_MUTANT(kNoMac)) return std::nullopt;
  header.at = {SegmentNumber{load_le<std::uint64_t>(in + 24)},
               load_le<std::uint32_t>(in + 100) * static_cast<std::uint32_t>(kBlock)};
  if (header.at != at) return std::nullopt;
  header.epoch = {load_le<std::uint64_t>(in + 32), load_le<std::uint64_t>(in + 40)};
  header.lsn = Lsn{load_le<std::uint64_t>(in + 48)};
  header.durable = Lsn{load_le<std::uint64_t>(in + 56)};
  header.clock_ceiling = load_le<std::uint64_t>(in + 64);
  header.next_stream = load_le<std::uint64_t>(in + 72);
  header.predecessor = load_le<std::uint64_t>(in + 80);
  const auto checkpoint_back = load_le<std::uint32_t>(in + 88);
  if (checkpoint_back != kNoCheckpoint) {
    if (checkpoint_back >= at.segment.value) return std::nullopt;
    header.checkpoint = BatchPosition{SegmentNumber{at.segment.value - checkpoint_back},
                                      load_le<std::uint32_t>(in + 92) * static_cast<std::uint32_t>(kBlock)};
  }
  const auto epoch_back = load_le<std::uint32_t>(in + 96);
  if (epoch_back >= at.segment.value) return std::nullopt;
  header.epoch_segment = SegmentNumber{at.segment.value - epoch_back};
  header.body_length = load_le<std::uint32_t>(in + 104);
  header.record_count = load_le<std::uint32_t>(in + 108);
  header.body_tag = load_le<std::uint64_t>(in + 112);
  if (header.body_length > kMaxBatch - kBlock || std::uint64_t{at.offset} + header.size() > key.segment_size) {
    return std::nullopt;
  }
  if (header.lsn.value == 0 || header.durable >= header.lsn) return std::nullopt;
  return header;
}

std::uint64_t extend_body_tag(const LogKey& key, std::uint64_t tag, const std::byte* record_header) {
  std::array<std::byte, 8 + kRecordHeaderSize> input;
  store_le<std::uint64_t>(input.data(), tag);
  std::memcpy(input.data() + 8, record_header, kRecordHeaderSize);
  return prf(key.mac, input);
}

bool payload_matches(const RecordHeader& header, Bytes payload) {
  return HF_MUTANT(kIgnorePayloadCrc) || crc32c(0, payload) == header.crc;
}

bool check_body(const BatchHeader& header, const LogKey& key, Bytes batch, PayloadCheck payloads) {
  HF_ASSERT(batch.size() >= header.size());
  const Bytes body = body_of(header, batch);
  RecordWalk walk(body);
  std::uint64_t tag = 0;
  std::uint32_t count = 0;
  while (const auto record = walk.next()) {
    ++count;
    tag = extend_body_tag(key, tag, body.data() + record->at);
    if (payloads == PayloadCheck::kVerify && !payload_matches(record->header, record->payload)) return false;
  }
  if (walk.malformed() || count != header.record_count) return false;
  return tag == header.body_tag || HF_MUTANT(kNoMac);
}

}  // namespace holdfast::log
