#include "gate/connection_record.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/endian.h"
#include "gate/service.h"

namespace holdfast::gate {
namespace {

constexpr std::uint8_t kVersion = 1;

// Bits of the flags field.
enum : std::uint16_t {
  kActiveOpen = 1,
  kTimestamps = 2,
  kSack = 4,
  kWindowScale = 8,
  kFinAcked = 16,
  kRcvFin = 32,
  kSndFin = 64,
  kStrict = 128,
};

constexpr unsigned kReceivedStep = 8;  // shift of the N-way handshake's step, above them

bool is_possible(const tcp::WaysRecord& ways) {
  if (ways.ways == 0) return ways == tcp::WaysRecord{};
  if (ways.received == 0 && (ways.min < wire::kMinWays || ways.min > ways.ways)) return false;
  return ways.ways > wire::kMinWays && ways.ways <= wire::kMaxWays && ways.received <= ways.ways;
}

class Writer {
 public:
  explicit Writer(std::byte* at) : at_(at) {}
  template <class T>
  void put(T value) {
    store_le(at_, value);
    at_ += sizeof value;
  }

 private:
  std::byte* at_;
};

class Reader {
 public:
  explicit Reader(const std::byte* at) : at_(at) {}
  template <class T>
  T take() {
    const T value = load_le<T>(at_);
    at_ += sizeof value;
    return value;
  }

 private:
  const std::byte* at_;
};

}  // namespace

EncodedConnectionRecord encode(const ConnectionRecord& record) {
  const tcp::Snapshot& s = record.snapshot;
  EncodedConnectionRecord out{};
  Writer w(out.data());
  w.put(kVersion);
  w.put(record.service);
  w.put(static_cast<std::uint8_t>(s.state));
  w.put(s.send_scale);
  w.put(s.receive_scale);
  w.put(s.ways.ways);
  w.put(static_cast<std::uint16_t>(
      (s.active_open ? kActiveOpen : 0) | (s.timestamps ? kTimestamps : 0) | (s.sack ? kSack : 0) |
      (s.window_scale ? kWindowScale : 0) | (s.fin_acked ? kFinAcked : 0) | (s.rcv_fin ? kRcvFin : 0) |
      (s.snd_fin ? kSndFin : 0) | (s.ways.strict ? kStrict : 0) | s.ways.received << kReceivedStep));
  w.put(s.tuple.local.address.value);
  w.put(s.tuple.peer.address.value);
  w.put(s.tuple.local.port.value);
  w.put(s.tuple.peer.port.value);
  w.put(s.iss.value);
  w.put(s.irs.value);
  w.put(s.send_mss);
  w.put(s.receive_mss);
  w.put(s.ts_offset);
  w.put(s.ts_recent);
  w.put(s.snd_wnd);
  w.put(s.ways.ways != 0 && s.ways.received == 0 ? std::uint32_t{s.ways.min} : s.ways.peer_nonce);
  w.put(s.snd_una.value);
  w.put(s.snd_end.value);
  w.put(s.rcv_end.value);
  w.put(s.edge.value);
  w.put(static_cast<std::uint64_t>(s.msl.count()));
  w.put(record.opened);
  return out;
}

Result<ConnectionRecord> decode_connection_record(Bytes bytes) {
  if (bytes.size() < kConnectionRecordSize) {
    return fail(Error::Kind::kCorrupt, fmt::format("connection record of {} bytes: at least {} are needed",
                                                   bytes.size(), kConnectionRecordSize));
  }
  Reader r(bytes.data());
  const auto version = r.take<std::uint8_t>();
  if (version != kVersion) {
    return fail(Error::Kind::kIncompatible,
                fmt::format("connection record of version {}, this program knows {}", version, kVersion));
  }
  ConnectionRecord record;
  tcp::Snapshot& s = record.snapshot;
  record.service = r.take<std::uint8_t>();
  const auto state = r.take<std::uint8_t>();
  s.send_scale = r.take<std::uint8_t>();
  s.receive_scale = r.take<std::uint8_t>();
  s.ways.ways = r.take<std::uint8_t>();
  const auto flags = r.take<std::uint16_t>();
  s.ways.received = static_cast<std::uint8_t>(flags >> kReceivedStep);
  s.ways.strict = (flags & kStrict) != 0;
  s.active_open = (flags & kActiveOpen) != 0;
  s.timestamps = (flags & kTimestamps) != 0;
  s.sack = (flags & kSack) != 0;
  s.window_scale = (flags & kWindowScale) != 0;
  s.fin_acked = (flags & kFinAcked) != 0;
  s.rcv_fin = (flags & kRcvFin) != 0;
  s.snd_fin = (flags & kSndFin) != 0;
  s.tuple.local.address.value = r.take<std::uint32_t>();
  s.tuple.peer.address.value = r.take<std::uint32_t>();
  s.tuple.local.port = wire::Port{r.take<std::uint16_t>()};
  s.tuple.peer.port = wire::Port{r.take<std::uint16_t>()};
  s.iss = wire::SeqNum{r.take<std::uint32_t>()};
  s.irs = wire::SeqNum{r.take<std::uint32_t>()};
  s.send_mss = r.take<std::uint16_t>();
  s.receive_mss = r.take<std::uint16_t>();
  s.ts_offset = r.take<std::uint32_t>();
  s.ts_recent = r.take<std::uint32_t>();
  s.snd_wnd = r.take<std::uint32_t>();
  const auto nonce_or_min = r.take<std::uint32_t>();
  if (s.ways.ways != 0 && s.ways.received == 0) {
    s.ways.min = static_cast<std::uint8_t>(std::min<std::uint32_t>(nonce_or_min, 0xff));
  } else {
    s.ways.peer_nonce = nonce_or_min;
  }
  s.snd_una = StreamOffset{r.take<std::uint64_t>()};
  s.snd_end = StreamOffset{r.take<std::uint64_t>()};
  s.rcv_end = StreamOffset{r.take<std::uint64_t>()};
  s.edge = StreamOffset{r.take<std::uint64_t>()};
  s.msl = Duration{static_cast<std::int64_t>(r.take<std::uint64_t>())};
  record.opened = r.take<std::uint64_t>();
  if (record.service < static_cast<std::uint8_t>(ServiceKind::kStore) ||
      record.service > static_cast<std::uint8_t>(ServiceKind::kClient) ||
      state < static_cast<std::uint8_t>(tcp::State::kSynSent) ||
      state > static_cast<std::uint8_t>(tcp::State::kClosed) || s.send_scale > 14 || s.receive_scale > 14 ||
      !is_possible(s.ways) || s.send_mss == 0 || s.snd_una > s.snd_end || s.msl < Duration::zero()) {
    return fail(Error::Kind::kCorrupt, "connection record with a field out of range");
  }
  s.state = static_cast<tcp::State>(state);
  return record;
}

ExtentRange newest_extents(const Extents& all) {
  return {all.end() - static_cast<std::ptrdiff_t>(std::min(all.size(), kMaxOutboundExtents)), all.end()};
}

ExtentRange extents_from(const Extents& all, std::uint64_t offset) {
  const auto first = std::ranges::lower_bound(all, offset, {}, &log::Extent::offset);
  const auto left = static_cast<std::size_t>(all.end() - first);
  return {first, first + static_cast<std::ptrdiff_t>(std::min(left, kMaxOutboundExtents))};
}

std::vector<std::byte> encode(const ConnectionRecord& record, const ExtentRange& outbound) {
  const EncodedConnectionRecord fixed = encode(record);
  const auto count = static_cast<std::size_t>(outbound.size());
  HF_ASSERT(count <= kMaxOutboundExtents);
  std::vector<std::byte> out(encoded_size(count));
  std::copy(fixed.begin(), fixed.end(), out.begin());
  Writer w(out.data() + kConnectionRecordSize);
  w.put(static_cast<std::uint32_t>(count));
  for (const log::Extent& extent : outbound) {
    w.put(extent.segment.value);
    w.put(extent.position);
    w.put(extent.length);
    w.put(extent.offset);
    w.put(static_cast<std::uint8_t>(extent.type));
    w.put(extent.flags);
    w.put(std::uint16_t{0});
    w.put(std::uint32_t{0});
  }
  return out;
}

Result<std::vector<log::Extent>> decode_outbound(Bytes bytes) {
  if (bytes.size() < kConnectionRecordSize + 4) return std::vector<log::Extent>{};
  Reader r(bytes.data() + kConnectionRecordSize);
  const auto count = r.take<std::uint32_t>();
  if (bytes.size() != kConnectionRecordSize + 4 + std::size_t{count} * kEncodedExtentSize) {
    return fail(Error::Kind::kCorrupt, "connection record whose outbound extents do not fit its length");
  }
  std::vector<log::Extent> outbound(count);
  for (log::Extent& extent : outbound) {
    extent.segment = SegmentNumber{r.take<std::uint64_t>()};
    extent.position = r.take<std::uint32_t>();
    extent.length = r.take<std::uint32_t>();
    extent.offset = r.take<std::uint64_t>();
    extent.type = static_cast<log::RecordType>(r.take<std::uint8_t>());
    extent.flags = r.take<std::uint8_t>();
    r.take<std::uint16_t>();
    r.take<std::uint32_t>();
  }
  if (!std::ranges::is_sorted(outbound, {}, &log::Extent::offset)) {
    return fail(Error::Kind::kCorrupt, "connection record whose outbound extents are out of order");
  }
  return outbound;
}

}  // namespace holdfast::gate
