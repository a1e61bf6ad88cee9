#include "wire/tcp.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/endian.h"
#include "wire/checksum.h"

namespace holdfast::wire {
namespace {

// Option kinds.
constexpr std::uint8_t kEnd = 0;
constexpr std::uint8_t kNop = 1;
constexpr std::uint8_t kMss = 2;
constexpr std::uint8_t kWindowScale = 3;
constexpr std::uint8_t kSackPermitted = 4;
constexpr std::uint8_t kSack = 5;
constexpr std::uint8_t kTimestamps = 8;
constexpr std::uint8_t kExperimental = 253;  // RFC 4727; told apart by an ExID (RFC 6994)

constexpr std::uint8_t kMaxWindowShift = 14;

TcpFlags load_flags(std::byte bits) {
  const auto b = std::to_integer<unsigned>(bits);
  return {.fin = (b & 0x01U) != 0,
          .syn = (b & 0x02U) != 0,
          .rst = (b & 0x04U) != 0,
          .psh = (b & 0x08U) != 0,
          .ack = (b & 0x10U) != 0,
          .urg = (b & 0x20U) != 0,
          .ece = (b & 0x40U) != 0,
          .cwr = (b & 0x80U) != 0};
}

std::byte store_flags(const TcpFlags& f) {
  return static_cast<std::byte>((f.fin ? 0x01 : 0) | (f.syn ? 0x02 : 0) | (f.rst ? 0x04 : 0) | (f.psh ? 0x08 : 0) |
                                (f.ack ? 0x10 : 0) | (f.urg ? 0x20 : 0) | (f.ece ? 0x40 : 0) | (f.cwr ? 0x80 : 0));
}

// Bits of the N-way option's flags field.
constexpr std::uint8_t kVolatile = 1;
constexpr std::uint8_t kShort = 2;
constexpr std::uint8_t kRefused = 4;

// `value`: behind kind and length. Anything malformed is as if it were absent.
std::optional<WaysOption> load_ways(Bytes value) {
  if (value.size() != kWaysOptionSize - 2 || load_be16(value.data()) != kWaysExId) return std::nullopt;
  const std::byte* at = value.data();
  WaysOption option;
  option.ways = std::to_integer<std::uint8_t>(at[2]);
  option.step = std::to_integer<std::uint8_t>(at[3]);
  option.copies = std::to_integer<std::uint8_t>(at[4]);
  const auto flags = std::to_integer<std::uint8_t>(at[5]);
  option.is_volatile = (flags & kVolatile) != 0;
  option.is_short = (flags & kShort) != 0;
  option.is_refused = (flags & kRefused) != 0;
  option.nonce = load_be32(at + 6);
  option.echo = load_be32(at + 10);
  if (option.ways < kMinWays || option.ways > kMaxWays) return std::nullopt;
  if (option.step < 1 || option.step > option.ways) return std::nullopt;
  return option;
}

// Takes one option whose whole value is there. A known kind with a wrong length is skipped, as an unknown one.
void take_option(std::uint8_t kind, Bytes value, bool syn, TcpOptions& options, bool& ways_seen) {
  const std::byte* at = value.data();
  switch (kind) {
    case kMss:
      if (syn && value.size() == 2 && load_be16(at) != 0) options.mss = load_be16(at);
      break;
    case kWindowScale:
      if (syn && value.size() == 1)
        options.window_scale = std::min(std::to_integer<std::uint8_t>(*at), kMaxWindowShift);
      break;
    case kSackPermitted:
      if (syn && value.empty()) options.sack_permitted = true;
      break;
    case kTimestamps:
      if (value.size() == 8) options.timestamps = TcpTimestamps{load_be32(at), load_be32(at + 4)};
      break;
    case kSack:
      if (syn || value.empty() || value.size() % 8 != 0) break;
      options.sack = {};
      for (std::size_t i = 0; i < value.size(); i += 8) {
        options.sack.push({SeqNum{load_be32(at + i)}, SeqNum{load_be32(at + i + 4)}});
      }
      break;
    case kExperimental:
      if (const auto ways = load_ways(value)) {
        // Two of them contradict each other, whatever they say.
        options.ways = std::exchange(ways_seen, true) ? std::nullopt : ways;
      }
      break;
    default:
      break;
  }
}

TcpOptions load_options(Bytes bytes, bool syn) {
  TcpOptions options;
  bool ways_seen = false;
  while (!bytes.empty()) {
    const auto kind = std::to_integer<std::uint8_t>(bytes[0]);
    if (kind == kEnd) break;
    if (kind == kNop) {
      bytes = bytes.subspan(1);
      continue;
    }
    if (bytes.size() < 2) break;
    const auto length = std::to_integer<std::size_t>(bytes[1]);
    if (length < 2 || length > bytes.size()) break;
    take_option(kind, bytes.subspan(2, length - 2), syn, options, ways_seen);
    bytes = bytes.subspan(length);
  }
  return options;
}

// Writes options one after another. The sets that emit_tcp() chooses fit in 40 bytes.
class OptionWriter {
 public:
  explicit OptionWriter(std::byte* at) : at_(at) {}
  void byte(unsigned value) { at_[length_++] = static_cast<std::byte>(value); }
  void be16(std::uint16_t value) {
    store_be16(at_ + length_, value);
    length_ += 2;
  }
  void be32(std::uint32_t value) {
    store_be32(at_ + length_, value);
    length_ += 4;
  }
  void head(std::uint8_t kind, unsigned length) {
    byte(kind);
    byte(length);
  }
  void timestamps(const TcpTimestamps& timestamps) {
    head(kTimestamps, 10);
    be32(timestamps.value);
    be32(timestamps.echo_reply);
  }
  void ways(const WaysOption& option) {
    head(kExperimental, kWaysOptionSize);
    be16(kWaysExId);
    byte(option.ways);
    byte(option.step);
    byte(option.copies);
    byte(ways_flags(option));
    be32(option.nonce);
    be32(option.echo);
  }
  void nops(int count) {
    for (; count > 0; --count) byte(kNop);
  }
  std::size_t length() const { return length_; }

 private:
  std::byte* at_;
  std::size_t length_ = 0;
};

void store_syn_options(const TcpOptions& options, OptionWriter& out) {
  if (options.mss) {
    out.head(kMss, 4);
    out.be16(*options.mss);
  }
  // The two bytes of SACK-permitted take the place of the two NOPs that align the timestamps.
  if (options.timestamps || options.sack_permitted) {
    if (!options.timestamps || !options.sack_permitted) out.nops(2);
    if (options.sack_permitted) out.head(kSackPermitted, 2);
    if (options.timestamps) out.timestamps(*options.timestamps);
  }
  if (options.window_scale) {
    out.nops(1);
    out.head(kWindowScale, 3);
    out.byte(std::min(*options.window_scale, kMaxWindowShift));
  }
  if (options.ways) out.ways(*options.ways);
}

void store_options(const TcpOptions& options, OptionWriter& out) {
  std::size_t room = kTcpMaxHeader - kTcpMinHeader;
  if (options.timestamps) {
    out.nops(2);
    out.timestamps(*options.timestamps);
    room -= 12;
  }
  if (options.ways) {
    out.ways(*options.ways);
    room -= kWaysOptionSize;
  }
  if (options.sack.empty()) return;
  const std::size_t blocks = std::min<std::size_t>(options.sack.count, (room - 4) / 8);
  out.nops(2);
  out.head(kSack, static_cast<unsigned>(2 + 8 * blocks));
  for (std::size_t i = 0; i < blocks; ++i) {
    out.be32(options.sack.blocks[i].left.value);
    out.be32(options.sack.blocks[i].right.value);
  }
}

}  // namespace

std::uint8_t ways_flags(const WaysOption& option) {
  return static_cast<std::uint8_t>((option.is_volatile ? kVolatile : 0) | (option.is_short ? kShort : 0) |
                                   (option.is_refused ? kRefused : 0));
}

std::expected<ParsedTcp, ParseError> parse_tcp(Bytes segment) {
  if (segment.size() < kTcpMinHeader) return std::unexpected(ParseError::kTruncated);
  const std::byte* at = segment.data();
  ParsedTcp parsed;
  parsed.header_length = std::to_integer<std::size_t>(at[12] >> 4) * 4;
  if (parsed.header_length < kTcpMinHeader) return std::unexpected(ParseError::kBadVersion);
  if (parsed.header_length > segment.size()) return std::unexpected(ParseError::kTruncated);

  TcpHeader& header = parsed.header;
  header.source = Port{load_be16(at)};
  header.destination = Port{load_be16(at + 2)};
  header.seq = SeqNum{load_be32(at + 4)};
  header.ack = SeqNum{load_be32(at + 8)};
  header.flags = load_flags(at[13]);
  header.window = load_be16(at + 14);
  header.urgent = load_be16(at + 18);
  header.options = load_options(segment.subspan(kTcpMinHeader, parsed.header_length - kTcpMinHeader), header.flags.syn);
  return parsed;
}

std::size_t emit_tcp(const TcpHeader& header, MutableBytes out) {
  HF_ASSERT(out.size() >= kTcpMaxHeader);
  std::byte* at = out.data();
  OptionWriter options(at + kTcpMinHeader);
  if (header.flags.syn) {
    store_syn_options(header.options, options);
  } else {
    store_options(header.options, options);
  }
  const std::size_t length = kTcpMinHeader + options.length();
  HF_ASSERT(length % 4 == 0 && length <= kTcpMaxHeader);

  store_be16(at, header.source.value);
  store_be16(at + 2, header.destination.value);
  store_be32(at + 4, header.seq.value);
  store_be32(at + 8, header.ack.value);
  at[12] = static_cast<std::byte>(length / 4 << 4);
  at[13] = store_flags(header.flags);
  store_be16(at + 14, header.window);
  store_be16(at + 16, 0);
  store_be16(at + 18, header.urgent);
  return length;
}

std::uint16_t pseudo_header_sum(Ipv4Address source, Ipv4Address destination, std::uint8_t protocol,
                                std::uint32_t length) {
  std::uint64_t sum = std::uint64_t{source.value} + destination.value + protocol + length;
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace holdfast::wire
