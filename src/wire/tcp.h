// TCP segments: RFC 9293 section 3.1, options of RFC 9293 (MSS), RFC 7323 (window scale, timestamps), RFC 2018 (SACK),
// and the N-way handshake's (docs/handshake.md, in RFC 6994's shared experimental form). Unknown options are skipped; a
// malformed length ends option parsing and keeps what came before (as Linux does).
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/units.h"
#include "wire/address.h"
#include "wire/parse_error.h"
#include "wire/seq.h"

namespace holdfast::wire {

inline constexpr std::size_t kTcpMinHeader = 20;
inline constexpr std::size_t kTcpMaxHeader = 60;
inline constexpr std::size_t kTcpChecksumOffset = 16;  // bytes from the header's start
inline constexpr std::size_t kMaxSackBlocks = 4;       // three beside timestamps

struct TcpFlags {
  bool fin = false, syn = false, rst = false, psh = false, ack = false, urg = false, ece = false, cwr = false;
  friend bool operator==(const TcpFlags&, const TcpFlags&) = default;
};

struct TcpTimestamps {
  std::uint32_t value = 0;       // TSval
  std::uint32_t echo_reply = 0;  // TSecr
  friend bool operator==(const TcpTimestamps&, const TcpTimestamps&) = default;
};

// [left, right): bytes held above a gap, or a duplicate (RFC 2883) in the first place.
struct SackBlock {
  SeqNum left, right;
  friend bool operator==(const SackBlock&, const SackBlock&) = default;
};

struct SackBlocks {
  std::array<SackBlock, kMaxSackBlocks> blocks{};
  std::uint8_t count = 0;
  const SackBlock* begin() const { return blocks.data(); }
  const SackBlock* end() const { return blocks.data() + count; }
  bool empty() const { return count == 0; }
  // Ignored when full.
  void push(SackBlock block) {
    if (count < kMaxSackBlocks) blocks[count++] = block;
  }
};

// A step of an N-way handshake (docs/handshake.md, "Wire format"). Values out of range are never read: then there is no
// option.
struct WaysOption {
  std::uint8_t ways = 0;     // N that the sender holds to, 3..74
  std::uint8_t step = 0;     // 1..ways
  std::uint8_t copies = 0;   // of the connection's record, at the sender, now; 255: that many or more
  bool is_volatile = false;  // the sender stores nothing
  bool is_short = false;     // fewer copies than this step asks for
  bool is_refused = false;   // on a RST: `ways` is the responder's minimum
  std::uint32_t nonce = 0;
  std::uint32_t echo = 0;  // the nonce of the step that this one answers; 0 in step 1
  friend bool operator==(const WaysOption&, const WaysOption&) = default;
};
inline constexpr std::uint8_t kMinWays = 3;
inline constexpr std::uint8_t kMaxWays = 74;
inline constexpr std::size_t kWaysOptionSize = 16;
inline constexpr std::uint16_t kWaysExId = 0x4846;  // "HF"
// Its flags field, which nonces cover.
std::uint8_t ways_flags(const WaysOption& option);

struct TcpOptions {
  std::optional<std::uint16_t> mss;          // taken from SYN segments only
  std::optional<std::uint8_t> window_scale;  // SYN only; a shift above 14 is read as 14 (RFC 7323 section 2.3)
  bool sack_permitted = false;               // SYN only
  std::optional<TcpTimestamps> timestamps;
  std::optional<WaysOption> ways;
  SackBlocks sack;
};

struct TcpHeader {
  Port source, destination;
  SeqNum seq, ack;
  TcpFlags flags;
  std::uint16_t window = 0;  // as on the wire, unscaled
  std::uint16_t urgent = 0;
  TcpOptions options;
};

struct ParsedTcp {
  TcpHeader header;
  std::size_t header_length = 0;  // 20..60: the payload starts here
};

// Reads a header from the start of `segment`, which must hold the whole header; payload need not be present.
std::expected<ParsedTcp, ParseError> parse_tcp(Bytes segment);

// Writes header and options into `out` (at least kTcpMaxHeader bytes) with a checksum field of 0, and returns its
// length, a multiple of 4. Option order as Linux: SYN: MSS, SACK-permitted, timestamps, NOP, window scale (NOP NOP
// SACKperm where there are no timestamps); else NOP NOP timestamps, NOP NOP SACK. The N-way option comes last in a SYN,
// else before SACK. SACK blocks beyond what fits in 40 bytes are left out.
std::size_t emit_tcp(const TcpHeader& header, MutableBytes out);

// One's complement sum over the TCP or UDP pseudo-header (RFC 9293 section 3.1), not folded into a checksum yet:
// what a link with checksum offload expects in the checksum field, after folding to 16 bits and without inversion.
std::uint16_t pseudo_header_sum(Ipv4Address source, Ipv4Address destination, std::uint8_t protocol,
                                std::uint32_t length);

}  // namespace holdfast::wire
