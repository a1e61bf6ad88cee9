#include "tcp/cookie.h"

#include <algorithm>
#include <optional>

#include "base/endian.h"
#include "base/mutant.h"
#include "tcp/receive_window.h"

namespace holdfast::tcp {
namespace {

constexpr std::uint16_t kDefaultMss = 536;     // RFC 9293 MUST-15
constexpr unsigned kMssAt = 27, kTickAt = 30;  // the MAC is below

// ---- Options in our TSval ----

constexpr std::uint32_t kOptionMask = 31;
constexpr std::uint32_t kNoScale = 15;
constexpr std::uint32_t kSackBit = 16;

std::uint32_t option_bits(const wire::TcpOptions& options) {
  const std::uint32_t scale = options.window_scale ? *options.window_scale : kNoScale;
  return scale | (options.sack_permitted ? kSackBit : 0);
}

// The latest moment up to `now` with these low bits.
std::uint32_t stamp(std::uint32_t now, std::uint32_t bits) {
  const std::uint32_t later = (now & ~kOptionMask) | bits;
  return bits <= (now & kOptionMask) || HF_MUTANT(kCookieTimestampAhead) ? later : later - kOptionMask - 1;
}

// What is in force of what the SYN offers, as far as a cookie can keep it.
wire::TcpOptions kept(const wire::TcpOptions& offered, const Config& config) {
  wire::TcpOptions options;
  options.mss = offered.mss.value_or(kDefaultMss);
  if (!config.timestamps || !offered.timestamps) return options;
  options.timestamps = offered.timestamps;
  options.sack_permitted = config.sack && offered.sack_permitted;
  if (config.window_scale && offered.window_scale) {
    options.window_scale = std::min<std::uint8_t>(*offered.window_scale, 14);  // RFC 7323 section 2.3
  }
  return options;
}

// ---- The sequence number ----

std::uint32_t mss_index(std::uint16_t mss) {
  const auto above = std::ranges::upper_bound(kCookieMss, mss);
  return above == kCookieMss.begin() ? 0 : static_cast<std::uint32_t>(above - kCookieMss.begin() - 1);
}

struct Fields {
  std::uint64_t tick = 0;
  std::uint32_t mss = 0;                 // index
  std::optional<std::uint32_t> options;  // bits; nothing where there are no timestamps
  std::uint8_t our_shift = 0;            // of the windows that we send: another configuration, another cookie
  wire::SeqNum irs;
};

Fields fields_of(const Config& config, std::uint64_t tick, std::uint32_t mss, std::optional<std::uint32_t> options,
                 wire::SeqNum irs) {
  const bool scaled = options && (*options & kNoScale) != kNoScale;
  return {tick, mss, options, scaled ? window_shift_for(config.max_receive_window) : std::uint8_t{0}, irs};
}

std::uint32_t low_bits(std::uint64_t value, unsigned bits) {
  return static_cast<std::uint32_t>(value) & ((1U << bits) - 1);
}

std::uint32_t sequence_number(const Secret& secret, const wire::FourTuple& tuple, const Fields& fields) {
  std::array<std::byte, 28> input{};
  input[0] = std::byte{'c'};  // should the secret ever get a second purpose
  store_be32(&input[1], tuple.local.address.value);
  store_be32(&input[5], tuple.peer.address.value);
  store_be16(&input[9], tuple.local.port.value);
  store_be16(&input[11], tuple.peer.port.value);
  store_be64(&input[13], fields.tick);
  input[21] = static_cast<std::byte>(fields.mss);
  input[22] = static_cast<std::byte>(fields.options.value_or(0xff));
  input[23] = static_cast<std::byte>(fields.our_shift);
  store_be32(&input[24], fields.irs.value);
  return low_bits(fields.tick, 2) << kTickAt | fields.mss << kMssAt | low_bits(prf(secret, input), kMssAt);
}

Cookie cookie_of(const SegmentIn& segment, const Fields& fields) {
  Cookie cookie;
  cookie.iss = segment.header.ack - 1;
  wire::TcpHeader& syn = cookie.syn;
  syn.source = segment.header.source;
  syn.destination = segment.header.destination;
  syn.seq = fields.irs;
  syn.flags.syn = true;
  syn.options.mss = kCookieMss[fields.mss];
  if (!fields.options) return cookie;
  const std::uint32_t scale = *fields.options & kNoScale;
  syn.options.timestamps = wire::TcpTimestamps{segment.header.options.timestamps->value, 0};
  syn.options.sack_permitted = (*fields.options & kSackBit) != 0;
  if (scale != kNoScale) syn.options.window_scale = static_cast<std::uint8_t>(scale);
  return cookie;
}

}  // namespace

wire::TcpHeader cookie_syn_ack(const Secret& secret, const Config& config, const wire::FourTuple& tuple,
                               const wire::TcpHeader& syn, std::uint64_t tick, std::uint32_t timestamp) {
  const wire::TcpOptions options = kept(syn.options, config);
  std::optional<std::uint32_t> bits;
  if (options.timestamps) bits = option_bits(options);
  const Fields fields = fields_of(config, tick, mss_index(*options.mss), bits, syn.seq);
  wire::TcpHeader answer;
  answer.source = syn.destination;
  answer.destination = syn.source;
  answer.seq = wire::SeqNum{sequence_number(secret, tuple, fields)};
  answer.ack = syn.seq + 1;
  answer.flags.syn = answer.flags.ack = true;
  answer.options.mss = config.mss;
  answer.options.sack_permitted = options.sack_permitted;
  if (options.window_scale) answer.options.window_scale = window_shift_for(config.max_receive_window);
  if (bits) answer.options.timestamps = wire::TcpTimestamps{stamp(timestamp, *bits), options.timestamps->value};
  return answer;
}

std::optional<Cookie> verify_cookie(const Secret& secret, const Config& config, const wire::FourTuple& tuple,
                                    const SegmentIn& segment, std::span<const std::uint64_t> ticks) {
  const wire::TcpHeader& h = segment.header;
  const std::uint32_t iss = (h.ack - 1).value;
  std::optional<std::uint32_t> options;
  if (config.timestamps && h.options.timestamps) options = h.options.timestamps->echo_reply & kOptionMask;
  for (const std::uint64_t tick : ticks) {
    if (low_bits(tick, 2) != iss >> kTickAt && !HF_MUTANT(kCookieUnchecked)) continue;
    Fields fields = fields_of(config, tick, low_bits(iss >> kMssAt, 3), options, h.seq - 1);
    if (HF_MUTANT(kCookieUnchecked)) return cookie_of(segment, fields);
    if (sequence_number(secret, tuple, fields) == iss) return cookie_of(segment, fields);
    // The probe of a closed window, and a keepalive, repeat the number before the stream's first.
    fields.irs = h.seq;
    if (segment.payload.empty() && sequence_number(secret, tuple, fields) == iss) return cookie_of(segment, fields);
  }
  return std::nullopt;
}

}  // namespace holdfast::tcp
