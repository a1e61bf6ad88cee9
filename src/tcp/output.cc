// What leaves: RFC 9293 sections 3.7.4, 3.8.4 and 3.8.6.2.1, RFC 6675 section 5. Data before a bare ACK, lost data
// before new data.
#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "tcp/connection_impl.h"

namespace holdfast::tcp {
namespace {
constexpr std::uint32_t kTimestampBytes = 12;  // with its padding
constexpr std::uint32_t kOptionBytes = 40;
constexpr std::uint64_t kMaxSuperSegment = 64000;  // with headers below the 64 KiB of an IP packet

// Whole segments, at least one.
constexpr std::uint64_t largest_segment(std::uint32_t mss) {
  return std::max<std::uint64_t>(kMaxSuperSegment / mss, 1) * mss;
}

constexpr std::uint8_t sack_blocks_beside(std::uint32_t options) {
  return static_cast<std::uint8_t>((kOptionBytes - options - 4) / 8);
}
}  // namespace

void Connection::Impl::flush() {
  if (challenge_is_due()) return send_ack();
  if (closed() || !may_transmit()) return;
  send_data();
  if (!closed() && ack_owed && !ack_deferred) send_ack();
}

// Of a segment without SYN. Where three ways are settled on, the third says so, once.
bool Connection::Impl::carries_step() const {
  return ways && (ways->proving() || ways->due() > 2 || ways->confirming());
}

// What SYN-RECEIVED answers beside SYNs: segments out of the window (RFC 9293 section 3.10.7.4, first) and a SYN within
// it (RFC 5961 section 4.2). A peer that has begun anew says in return that it knows nothing of this connection.
bool Connection::Impl::challenge_is_due() const {
  // In CONFIRMING it carries the step that was sent last: without one, it would say that the handshake is over.
  const bool step_is_due = confirming() && ways->phase() != Ways::Phase::kWaiting;
  return state == State::kSynReceived && ack_owed && syn_tries > 0 && record_stored && rcv.synced && spoken &&
         !step_is_due;
}

// Both SYNs are behind us, and there is a released pair to send.
bool Connection::Impl::may_transmit() const { return record_stored && rcv.synced && spoken && is_synchronized(state); }

std::uint32_t Connection::Impl::effective_mss() const {
  std::uint32_t options = timestamps ? kTimestampBytes : 0;
  if (carries_step()) options += wire::kWaysOptionSize;
  if (sack && (rcv.dsack || !rcv.reassembly.empty())) {
    const std::uint32_t blocks = rcv.sack_blocks(sack_blocks_beside(options)).count;
    if (blocks > 0) options += 4 + 8 * blocks;
  }
  return std::max<std::uint32_t>(snd.mss - options, 16);
}

std::uint64_t Connection::Impl::cwnd_room() const {
  const std::uint64_t pipe = snd.loss.pipe(snd.board, effective_mss());
  // Until the peer has answered a replacement, one segment: it may have all of it already.
  const std::uint64_t cwnd = awaiting_answer ? effective_mss() : snd.congestion->cwnd();
  return cwnd > pipe ? cwnd - pipe : 0;
}

void Connection::Impl::send_data() {
  if (state == State::kTimeWait || state == State::kFinWait2) return;
  if (snd.una == snd.nxt && snd.nxt >= snd.sendable_end(fin_may_leave())) return;
  restart_if_idle();
  // What we send may as well carry the ACK that the delayed-ACK timer waits for, if it is stored by now.
  if (rcv.unnoted() && !rcv.window.stalled() && about_to_send()) note(std::nullopt);
  while (!closed() && retransmit_lost()) {
  }
  while (!closed() && send_new()) {
  }
  if (!closed()) update_retransmit_timer(false);
}

bool Connection::Impl::about_to_send() {
  if (snd.loss.next_retransmission(snd.board)) return true;
  const StreamOffset end = snd.sendable_end(fin_may_leave());
  return snd.nxt < end && sendable_now(end, effective_mss()) > 0;
}

// RFC 5681 section 4.1.
void Connection::Impl::restart_if_idle() {
  if (snd.in_flight() == 0 && now - snd.last_sent > snd.rtt.rto()) {
    snd.congestion->on_idle(initial_window(effective_mss(), config.initial_window_segments));
  }
}

// RFC 6675 section 5 (C): rule 1. True: something was sent.
bool Connection::Impl::retransmit_lost() {
  const auto range = snd.loss.next_retransmission(snd.board);
  if (!range) return false;
  // Old data beyond a window that shrank waits for it (RFC 9293 SHLD-16); a closed one is probed.
  if (snd.wnd == 0 || range->begin >= snd.window_end()) return false;
  const std::uint32_t mss = effective_mss();
  const std::uint64_t wanted =
      std::min<std::uint64_t>({range->end - range->begin, snd.window_end() - range->begin, largest_segment(mss)});
  std::uint64_t n = std::min(wanted, cwnd_room());
  if (n < wanted) n = n / mss * mss;  // whole segments, or all
  if (n == 0 && snd.loss.must_retransmit()) n = std::min<std::uint64_t>(wanted, mss);
  if (n == 0) return false;
  retransmit(range->begin, n);
  snd.loss.on_retransmitted(false);
  return true;
}

void Connection::Impl::retransmit(StreamOffset begin, std::uint64_t length) {
  snd.board.retransmitted(begin, begin + length, now);
  snd.last_sent = now;
  emit(begin, begin + length);
}

// A FIN follows data; and where theirs came first it waits until that is acknowledged: then LAST-ACK means what it
// says, that nothing of the peer's is open any more when ours is acknowledged.
bool Connection::Impl::fin_may_leave() const { return !rcv.fin || rcv.all_released() || state == State::kClosing; }

// True: something was sent, and perhaps there is more.
bool Connection::Impl::send_new() {
  const StreamOffset end = snd.sendable_end(fin_may_leave());
  snd.cwnd_limited = false;
  if (snd.nxt >= end) {
    // RFC 6675 rule 4.
    const auto range = snd.loss.rescue(snd.board);
    if (!range || cwnd_room() < effective_mss() || range->end > snd.window_end()) return false;
    const std::uint64_t n = std::min<std::uint64_t>(range->end - range->begin, effective_mss());
    snd.loss.on_retransmitted(true);
    retransmit(StreamOffset{range->end.value - n}, n);
    return false;
  }
  const std::uint32_t mss = effective_mss();
  const std::uint64_t n = sendable_now(end, mss);
  if (n == 0) return false;
  const StreamOffset begin = snd.nxt;
  if (snd.in_flight() == 0) timers.cancel(Timer::kRetransmit);  // a probe's: RFC 6298 (5.1)
  snd.board.add(begin, begin + n, now, begin < snd.limit);
  snd.nxt = begin + n;
  snd.limit = std::max(snd.limit, snd.nxt);
  if (n % mss != 0) snd.small_end = snd.nxt;
  snd.last_sent = now;
  if (snd.unanswered_since == kNever) snd.unanswered_since = now;
  emit(begin, snd.nxt);
  return true;
}

// How much new data may leave in one (super-)segment: window, cwnd, whole segments, Nagle.
std::uint64_t Connection::Impl::sendable_now(StreamOffset end, std::uint32_t mss) {
  const std::uint64_t waiting = end - snd.nxt;
  const std::uint64_t window = snd.window_end() > snd.nxt ? snd.window_end() - snd.nxt : 0;
  const std::uint64_t congestion = cwnd_room();
  snd.cwnd_limited = congestion < std::min(waiting, window);
  const std::uint64_t n = std::min({waiting, window, congestion, largest_segment(mss)});
  const std::uint64_t whole = n / mss * mss;
  if (n == whole) return n;
  if (snd.cwnd_limited && congestion < mss && snd.in_flight() > 0) return whole;
  return partial_may_leave(end, n) ? n : whole;
}

// Sender's silly-window avoidance (RFC 9293 section 3.8.6.2.1), with Nagle (section 3.7.4) as amended by Minshall: one
// small segment in flight at a time, so that the tail of a large write need not wait.
bool Connection::Impl::partial_may_leave(StreamOffset end, std::uint64_t n) const {
  const bool all = snd.nxt + n == end;
  if (all && snd.fin_queued && end > snd.fin_at()) return true;
  const bool small_in_flight = snd.small_end > snd.una && snd.in_flight() > 0;
  if (config.nagle && small_in_flight) return false;
  return all || n >= std::max<std::uint64_t>(1, snd.max_wnd / 2);
}

void Connection::Impl::emit_bare(StreamOffset at) {
  SegmentOut segment;
  segment.header = header(snd.seq(at));
  account();
  host.transmit(*self, segment);
}

// Positions [begin, end), of which the last may be the FIN's.
void Connection::Impl::emit(StreamOffset begin, StreamOffset end) {
  const std::uint32_t mss = effective_mss();
  SegmentOut segment;
  segment.header = header(snd.seq(begin));
  const bool fin = snd.fin_queued && end > snd.fin_at();
  const std::uint64_t length = (end - begin) - (fin ? 1 : 0);
  HF_ASSERT(begin + length <= snd.stored);
  segment.payload = snd.buffer.view(begin, length);
  segment.gso_size = length > mss ? static_cast<std::uint16_t>(mss) : std::uint16_t{0};
  segment.header.flags.fin = fin;
  segment.header.flags.psh = length > 0 && begin + length == snd.buffer.end();  // MUST-61
  account();
  if (fin && !std::exchange(snd.fin_sent, true)) apply(Event::kFinSent);
  host.transmit(*self, segment);
}

wire::TcpHeader Connection::Impl::header(wire::SeqNum seq) {
  wire::TcpHeader h;
  h.source = tuple.local.port;
  h.destination = tuple.peer.port;
  h.seq = seq;
  h.ack = to_seq(rcv.irs, rcv.released);
  h.flags.ack = true;
  const StreamOffset from = HF_MUTANT(kWindowCountedTwice) ? rcv.next : rcv.released;
  h.window = rcv.window.advertise(from, host.receive_allowance(*self), full_segment());
  std::uint32_t options = 0;
  if (timestamps) {
    h.options.timestamps = wire::TcpTimestamps{host.timestamp_clock() + ts_offset, rcv.released_ts};
    options += kTimestampBytes;
  }
  if (carries_step()) {
    h.options.ways = ways->option(copies());
    options += wire::kWaysOptionSize;
  }
  if (sack) h.options.sack = rcv.sack_blocks(sack_blocks_beside(options));
  return h;
}

// The segment is about to leave: it carries what was owed.
void Connection::Impl::account() {
  ack_owed = false;
  rcv.dsack.reset();
  if (ways && ways->phase() == Ways::Phase::kPlain && ways->due() > 2) ways->left(copies());
}

}  // namespace holdfast::tcp
