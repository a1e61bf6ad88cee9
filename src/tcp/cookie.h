// SYN cookies (RFC 4987 section 3.6): a SYN-ACK whose initial sequence number says what must be known of the SYN when
// the ACK comes back, so that nothing is kept or stored in between. Pure functions of a secret that every owner of the
// log shares, the 4-tuple, the peer's ISN and the clock.
//
// The ISN, from its highest bit down:
//    2 bits  the tick, modulo 4: the clock behind TSval and ISNs, in steps of 64 s
//    3 bits  which of kCookieMss the peer's MSS is
//   27 bits  MAC: PRF(tuple, tick, MSS, options, the peer's ISN)
//
// A blind attacker has to guess the MAC: one segment in 2^27 is taken for the ACK of a cookie (in 2^26 where it has no
// payload, because its SEQ has two readings then), and only while cookies are looked for at all (stack/cookies.h).
//
// Window scale and SACK-permitted of a peer with timestamps ride in the low 5 bits of our TSval, which its TSecr brings
// back; the MAC covers them. That TSval is up to 31 ms old: never ahead of the clock, so that it is neither above the
// stored ceiling nor goes back later. Without timestamps there is no window scale and no SACK.
//
// The SYN-ACK's window is 0: no room is reserved for a stranger, and what was promised for nothing would have to be
// taken back. The window follows once the connection's record is stored. Until then a peer that has something to send
// probes, and its probe is as good an ACK as any; and nothing that lies behind the stream's first byte can come, so
// that whatever does come of a peer that holds a cookie can be verified.
//
// What a handshake needs besides (the N-way option) is verified by recomputing it from what verify_cookie() returns.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/prf.h"
#include "base/units.h"
#include "tcp/config.h"
#include "tcp/connection.h"
#include "wire/address.h"
#include "wire/seq.h"
#include "wire/tcp.h"

namespace holdfast::tcp {

inline constexpr Duration kCookieTick = std::chrono::seconds(64);
// A cookie is good in its tick and the next one: for 64 s at least, 128 s at most.
inline constexpr Duration kCookieLifetime = 2 * kCookieTick;
// Ascending. The peer's MSS is rounded down to one of these, or up to the first, the least that we ever use.
inline constexpr std::array<std::uint16_t, 8> kCookieMss = {64, 256, 536, 1200, 1360, 1440, 1460, 8960};

// `clock`: nanoseconds, of the clock that never goes back over restarts.
constexpr std::uint64_t cookie_tick(std::uint64_t clock) {
  return clock / static_cast<std::uint64_t>(kCookieTick.count());
}

// The SYN-ACK that answers this SYN, complete but for checksum. `timestamp`: our TSval at this moment.
wire::TcpHeader cookie_syn_ack(const Secret& secret, const Config& config, const wire::FourTuple& tuple,
                               const wire::TcpHeader& syn, std::uint64_t tick, std::uint32_t timestamp);

// What a cookie has kept.
struct Cookie {
  wire::TcpHeader syn;  // its window is 0, its TSval is that of the segment which brought the cookie
  wire::SeqNum iss;     // ours
};

// The cookie that `segment`, which has ACK and neither SYN nor RST, acknowledges, if it was made in one of these ticks.
// The segment may be the pure ACK, the first data or FIN where that was lost, or the probe of our closed window.
std::optional<Cookie> verify_cookie(const Secret& secret, const Config& config, const wire::FourTuple& tuple,
                                    const SegmentIn& segment, std::span<const std::uint64_t> ticks);

}  // namespace holdfast::tcp
