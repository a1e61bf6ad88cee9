// The fifth step of RFC 9293 section 3.10.7.4: the ACK field, the peer's window, SACK (RFC 2018), round-trip times.
#include <algorithm>

#include "base/assert.h"
#include "tcp/connection_impl.h"

namespace holdfast::tcp {

bool Connection::Impl::ack_arrives(const SegmentIn& segment) {
  const wire::TcpHeader& h = segment.header;
  if (state == State::kSynReceived) {
    if (!record_stored || syn_tries == 0) return false;  // we have said nothing that could be acknowledged
    const std::int64_t position = to_position(snd.iss, h.ack, snd.una);
    if (position < 0 || position > static_cast<std::int64_t>(snd.limit.value)) {
      refuse_ack(segment);
      return false;
    }
    established(segment);
    if (closed()) return false;
  }
  const std::int64_t position = to_position(snd.iss, h.ack, snd.una);
  if (!ack_in_range(position)) return false;
  if (position < static_cast<std::int64_t>(snd.una.value)) return true;  // old; its data may be new

  const StreamOffset ack{static_cast<std::uint64_t>(position)};
  const StreamOffset spoken_at = snd.idle_position();
  const std::uint64_t flight = snd.in_flight();
  const bool was_closed = snd.wnd == 0;
  const bool fin_was_acked = snd.fin_acked();
  LossRecovery::Ack event;
  event.acked = ack - snd.una;
  // RFC 5681 section 2.
  event.duplicate = event.acked == 0 && flight > 0 && segment.payload.empty() && !h.flags.fin &&
                    std::uint64_t{h.window} << snd.shift == snd.wnd && !was_closed;
  take_window(h);
  snd.probes = 0;
  if (event.acked > 0) {
    const Scoreboard::Acked acked = advance_una(ack);
    event.head_is_sacked = acked.head_is_sacked;
    take_rtt(h, acked, flight);
  }
  event.sacked = sack ? take_sacks(h, flight, event.acked > 0) : 0;
  event.una = snd.una;
  event.nxt = snd.nxt;
  event.mss = effective_mss();
  event.rtt = snd.rtt.smoothed();
  event.now = now;
  // While slow start doubles, half a window in flight is proof enough that it is used (RFC 7661's idea).
  event.cwnd_limited = snd.cwnd_limited || (snd.congestion->in_slow_start() && flight * 2 >= snd.congestion->cwnd());
  if (event.acked > 0 || event.duplicate || event.sacked > 0) snd.loss.on_ack(event, snd.board, *snd.congestion);
  if (was_closed && snd.wnd > 0) window_opened();
  if (awaiting_answer) {
    awaiting_answer = false;
    // Our SEQ may have been out of the peer's window, and what we said with it discarded.
    if (snd.idle_position() != spoken_at) ack_owed = true;
  }
  update_retransmit_timer(event.acked > 0);

  if (event.acked > 0) {
    const bool fin = snd.fin_acked();
    host.acknowledged(*self, snd.acked_data(), fin);
    if (closed()) return false;
    if (fin && !fin_was_acked) {
      apply(Event::kFinAcked);
      if (closed()) finish(CloseReason::kNormal);
      if (state == State::kTimeWait && rcv.all_released()) start_time_wait();
    }
  }
  return !closed();
}

// RFC 5961 section 5.2 for what is too old; RFC 9293: "if the ACK acks something not yet sent, send an ACK, drop the
// segment".
bool Connection::Impl::ack_in_range(std::int64_t position) {
  const auto una = static_cast<std::int64_t>(snd.una.value);
  const bool ok = position <= static_cast<std::int64_t>(snd.limit.value) &&
                  position >= una - static_cast<std::int64_t>(std::max<std::uint64_t>(snd.max_wnd, 65535));
  if (!ok) challenge();
  return ok;
}

// RFC 9293's test of age, and one more: what acknowledges more was said later, even if it repeats old data. Else
// SND.UNA would move without the window that belongs to it, and we would send beyond the peer's edge.
void Connection::Impl::take_window(const wire::TcpHeader& h) {
  const bool newer = snd.wl1 < h.seq || (snd.wl1 == h.seq && snd.wl2 <= h.ack) || snd.wl2 < h.ack;
  if (!newer || h.flags.syn) return;
  snd.wnd = std::uint64_t{h.window} << snd.shift;  // RFC 9293 MUST-1: unsigned
  snd.max_wnd = std::max(snd.max_wnd, snd.wnd);
  snd.wl1 = std::max(snd.wl1, h.seq);
  snd.wl2 = h.ack;
}

// `sampled`: the cumulative part has given its round-trip sample, or tried to.
std::uint64_t Connection::Impl::take_sacks(const wire::TcpHeader& header, std::uint64_t flight, bool sampled) {
  Scoreboard::Sacked all;
  for (const wire::SackBlock& block : header.options.sack) {
    const std::int64_t begin = to_position(snd.iss, block.left, snd.una);
    const std::int64_t end = to_position(snd.iss, block.right, snd.una);
    // A block below the ACK is a duplicate's (RFC 2883); one beyond SND.NXT is a lie, or from before a rewind.
    if (begin < static_cast<std::int64_t>(snd.una.value) || end > static_cast<std::int64_t>(snd.nxt.value)) continue;
    if (begin >= end) continue;
    const auto one = snd.board.sack(StreamOffset{static_cast<std::uint64_t>(begin)},
                                    StreamOffset{static_cast<std::uint64_t>(end)}, effective_mss());
    all.news += one.news;
    if (one.sent && (!all.sent || *all.sent < *one.sent)) all.sent = one.sent;
  }
  // While a hole stays open this is all that tells the round-trip time, and ends a back-off.
  if (all.sent && !sampled) snd.rtt.sample(now - *all.sent, samples_per_window(flight));
  return all.news;
}

Scoreboard::Acked Connection::Impl::advance_una(StreamOffset ack) {
  const Scoreboard::Acked acked = snd.board.acknowledge(ack);
  snd.una = ack;
  snd.nxt = std::max(snd.nxt, ack);
  const StreamOffset data = std::min(ack, snd.buffer.end());
  snd.buffer.drop_below(data);
  if (snd.fin_acked()) snd.fin_sent = true;  // by a predecessor
  snd.timeouts = 0;
  snd.probe_back_off = 0;
  snd.unanswered_since = snd.in_flight() > 0 ? now : kNever;
  return acked;
}

std::uint32_t Connection::Impl::samples_per_window(std::uint64_t flight) const {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(flight / (2 * effective_mss()) + 1, 1U << 16));
}

void Connection::Impl::begin_life() {
  oldest_ts_echo = host.timestamp_clock() + ts_offset;
  oldest_ts_at = now;
}

// What the echo of our TSval tells (RFC 7323 section 4). After 24 days no predecessor's is under way, and where this
// life began is too far off for modular arithmetic.
std::optional<Duration> Connection::Impl::echoed_round_trip(const wire::TcpHeader& header) const {
  if (!timestamps || !header.options.timestamps) return std::nullopt;
  const std::uint32_t echo = header.options.timestamps->echo_reply;
  const std::uint32_t clock = host.timestamp_clock() + ts_offset;
  if (echo == 0) return std::nullopt;  // the peer knows none
  const auto stood = host.clock_stood_at();
  if (stood && !timestamp_before(*stood + ts_offset, echo)) return std::nullopt;
  const bool young = now - oldest_ts_at < std::chrono::hours(24 * 24);
  if ((young && timestamp_before(echo, oldest_ts_echo)) || timestamp_before(clock, echo)) return std::nullopt;
  return std::max<Duration>(std::chrono::milliseconds(clock - echo), std::chrono::milliseconds(1));
}

// By our own clock for what was sent once; by the echo for what was sent again (RFC 7323 section 4, RFC 6298 section 3:
// Karn).
void Connection::Impl::take_rtt(const wire::TcpHeader& header, const Scoreboard::Acked& acked, std::uint64_t flight) {
  const std::uint32_t samples = samples_per_window(flight);
  if (acked.sent) return snd.rtt.sample(now - *acked.sent, samples);
  if (const auto echoed = echoed_round_trip(header)) snd.rtt.sample(*echoed, samples);
}

// What was sent into a closed window was most likely dropped: it goes again without waiting for the timer.
void Connection::Impl::window_opened() {
  snd.probe_back_off = 0;
  timers.cancel(Timer::kRetransmit);  // the probe's, far away by now
  if (snd.in_flight() == 0) return;
  if (snd.in_flight() == 1) {
    snd.rewind();  // a probe's byte: let it be part of a full segment
  } else {
    snd.board.mark_all_lost();
  }
}

}  // namespace holdfast::tcp
