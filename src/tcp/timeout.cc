// Deadlines: retransmission (RFC 6298), zero-window probes (RFC 9293 section 3.8.6.1), delayed ACK, TIME-WAIT,
// keepalives (section 3.8.4).
#include <algorithm>

#include "tcp/connection_impl.h"

namespace holdfast::tcp {
namespace {
// RFC 1191 section 7.1: for routers that do not say what fits.
constexpr std::uint16_t kPlateaus[] = {8166, 4352, 2002, 1492, 1006, 576};
constexpr std::uint16_t kMinPathMtu = 576;  // RFC 5927 section 7: an error must not make segments tiny
constexpr std::uint16_t kHeaders = 40;
}  // namespace

void Connection::on_icmp_error(wire::SeqNum quoted_seq, bool fragmentation_needed, std::uint16_t next_hop_mtu,
                               Time now) {
  Impl::Call call(*impl_, now);
  Impl& c = *impl_;
  if (c.closed() || !c.spoken) return;
  // RFC 5927 section 4.1: a stranger does not know what is in flight.
  const std::int64_t quoted = to_position(c.snd.iss, quoted_seq, c.snd.una);
  const bool in_flight = is_synchronized(c.state) ? quoted >= static_cast<std::int64_t>(c.snd.una.value) &&
                                                        quoted < static_cast<std::int64_t>(c.snd.limit.value)
                                                  : quoted_seq == c.snd.iss && c.syn_tries > 0;
  if (!in_flight) return;
  ++c.soft_errors;
  if (!fragmentation_needed || !is_synchronized(c.state)) return;
  std::uint16_t mtu = next_hop_mtu;
  if (mtu == 0) {
    mtu = kMinPathMtu;
    for (const std::uint16_t plateau : kPlateaus) {
      if (plateau < c.snd.mss + kHeaders) {
        mtu = std::max(mtu, plateau);
        break;
      }
    }
  }
  c.segment_size_changed(static_cast<std::uint16_t>(std::max(mtu, kMinPathMtu) - kHeaders));
}

// What is in flight was too large to arrive: sent again in smaller segments, which is no sign of congestion.
void Connection::Impl::segment_size_changed(std::uint16_t mss) {
  if (mss >= snd.mss) return;
  snd.mss = mss;
  snd.congestion->set_mss(effective_mss());
  snd.board.mark_all_lost();
}

void Connection::Impl::deadline_passed() {
  if (closed()) return;
  if (timers.expired(Timer::kTimeWait, now)) {
    apply(Event::kTimeWaitOver);
    return finish(CloseReason::kNormal);
  }
  if (timers.expired(Timer::kDelayedAck, now)) delayed_ack_timeout();
  if (!closed() && timers.expired(Timer::kRetransmit, now)) retransmit_timeout();
  if (!closed() && timers.expired(Timer::kKeepalive, now)) keepalive_timeout();
  if (!closed() && timers.expired(Timer::kConfirm, now)) confirm_timeout();
}

// ---- Delayed ACK ----

// MUST-40. Not while storage stands still: nothing could leave.
void Connection::Impl::arm_delayed_ack() {
  if (rcv.window.stalled() || timers.armed(Timer::kDelayedAck)) return;
  timers.set(Timer::kDelayedAck, now + config.delayed_ack);
}

void Connection::Impl::delayed_ack_timeout() {
  if (rcv.unnoted()) note(std::nullopt);
}

// ---- Retransmission ----

// Nothing can leave for want of window: the probe, not the retransmission timer, is what runs.
bool Connection::Impl::must_probe() const {
  return snd.wnd == 0 || (snd.in_flight() == 0 && snd.nxt < snd.sendable_end(fin_may_leave()));
}

Duration Connection::Impl::probe_interval() const {
  Duration interval = snd.rtt.rto();
  for (std::uint32_t i = 0; i < snd.probe_back_off && interval < config.max_rto; ++i) interval *= 2;
  return std::min(interval, config.max_rto);
}

// RFC 6298 section 5: (5.1) start when data is sent, (5.2) stop when all is acknowledged, (5.3) start anew when some
// is.
void Connection::Impl::update_retransmit_timer(bool restart) {
  if (!is_synchronized(state) || state == State::kTimeWait) return;
  const bool pending = snd.in_flight() > 0 || snd.nxt < snd.sendable_end(fin_may_leave());
  if (!pending) return timers.cancel(Timer::kRetransmit);
  if (restart || !timers.armed(Timer::kRetransmit)) {
    timers.set(Timer::kRetransmit, now + (must_probe() ? probe_interval() : snd.rtt.rto()));
  }
}

// R2 (RFC 9293 section 3.8.3), or the user's own limit.
bool Connection::Impl::give_up(std::uint32_t tries) const {
  if (tries > config.retries) return true;
  return config.user_timeout > Duration::zero() && snd.unanswered_since != kNever &&
         now - snd.unanswered_since >= config.user_timeout;
}

// Silently: there is nobody to tell. But whom our step N has not reached is in mid-handshake, and told so.
void Connection::Impl::peer_is_gone() {
  if (ways && ways->proving()) return follow(ways->give_up());
  finish(CloseReason::kTimeout);
}

void Connection::Impl::retransmit_timeout() {
  if (state == State::kSynSent || state == State::kSynReceived) return syn_timeout();
  if (must_probe()) return probe_timeout();
  if (snd.in_flight() == 0) return;
  if (give_up(++snd.timeouts)) return peer_is_gone();
  snd.rtt.back_off();
  snd.loss.on_timeout(snd.una, snd.nxt, snd.board, *snd.congestion);
  timers.set(Timer::kRetransmit, now + snd.rtt.rto());
  // flush() sends the first lost segment.
}

// One octet that the window does not allow (MUST-36), backed off (SHLD-30), for as long as the peer answers (MUST-37).
// A window that is merely too small to be worth a segment gets what fits: RFC 9293's override time-out.
void Connection::Impl::probe_timeout() {
  const StreamOffset end = snd.sendable_end(fin_may_leave());
  if (snd.in_flight() == 0 && snd.nxt >= end) return;
  if (give_up(++snd.probes)) return peer_is_gone();
  if (snd.probe_back_off < 32) ++snd.probe_back_off;
  timers.set(Timer::kRetransmit, now + probe_interval());
  const StreamOffset begin = snd.una;
  if (snd.in_flight() == 0) {
    const std::uint64_t fits = std::min<std::uint64_t>({snd.wnd, end - snd.nxt, effective_mss()});
    const std::uint64_t n = std::max<std::uint64_t>(1, fits);
    snd.board.add(begin, begin + n, now, begin < snd.limit);
    snd.nxt = begin + n;
    snd.limit = std::max(snd.limit, snd.nxt);
    snd.last_sent = now;
    emit(begin, snd.nxt);
  } else {
    snd.board.retransmitted(begin, begin + 1, now);
    emit(begin, begin + 1);
  }
}

// ---- Keepalive ----

void Connection::Impl::arm_keepalive() {
  if (config.keepalive) timers.set(Timer::kKeepalive, last_heard + config.keepalive_idle);
}

void Connection::Impl::keepalive_timeout() {
  if (!is_synchronized(state) || state == State::kTimeWait) return;
  const bool busy = snd.in_flight() > 0 || snd.nxt < snd.sendable_end(fin_may_leave());  // retransmissions find out
  if (keepalives == 0 && (busy || now < last_heard + config.keepalive_idle)) {
    timers.set(Timer::kKeepalive,
               std::max(now, last_heard) + (busy ? config.keepalive_idle : last_heard + config.keepalive_idle - now));
    return;
  }
  if (keepalives >= config.keepalive_probes) return reset(CloseReason::kTimeout);  // MUST-29: not after a single one
  ++keepalives;
  timers.set(Timer::kKeepalive, now + config.keepalive_interval);
  // Below SND.NXT and without data: outside the window, so it draws an ACK (SHLD-12).
  if (may_transmit()) emit_bare(StreamOffset{snd.idle_position().value - 1});
}

}  // namespace holdfast::tcp
