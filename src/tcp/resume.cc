// A connection in the hands of a replacement: what is stored is all that is known. SND.NXT at the crash is not;
// congestion window, time-out and SACK start fresh.
#include <algorithm>

#include "base/assert.h"
#include "tcp/connection_impl.h"

namespace holdfast::tcp {
namespace {

// An N-way handshake that is not over, or whose last step may not have arrived: nothing was heard since.
bool may_confirm(const Snapshot& s) {
  if (s.ways.ways <= wire::kMinWays || s.ways.received == s.ways.ways) return false;
  return !s.rcv_fin && s.rcv_end.value == 0 && s.snd_una.value == 0 && !s.fin_acked;
}

// The states after ESTABLISHED follow from the two FINs, which are stored; the stored state only tells which one closed
// first.
State resumed_state(const Snapshot& s) {
  const bool opening = s.state == State::kSynSent || s.state == State::kSynReceived;
  if (opening && !s.rcv_fin && s.rcv_end.value == 0 && s.snd_una.value == 0 && !s.fin_acked) return s.state;
  if (may_confirm(s)) return s.active_open && s.ways.received == 0 ? State::kSynSent : State::kSynReceived;
  const bool passive_close = s.state == State::kCloseWait || s.state == State::kLastAck;
  if (!s.rcv_fin && !s.snd_fin) return State::kEstablished;
  if (!s.rcv_fin) return s.fin_acked ? State::kFinWait2 : State::kFinWait1;
  if (!s.snd_fin) return State::kCloseWait;
  if (passive_close) return State::kLastAck;
  return s.fin_acked ? State::kTimeWait : State::kClosing;
}

}  // namespace

std::unique_ptr<Connection> Connection::resume(Host& host, const Config& config, StreamId id, const Snapshot& snapshot,
                                               Time now) {
  HF_ASSERT(snapshot.snd_una <= snapshot.snd_end && snapshot.state != State::kClosed);
  auto impl = std::make_unique<Impl>(host, config, id, snapshot.tuple, snapshot.snd_una);
  impl->now = impl->last_heard = now;
  impl->restore(snapshot);
  return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

void Connection::Impl::restore(const Snapshot& s) {
  state = resumed_state(s);
  active_open = s.active_open;
  record_stored = true;
  resumed = true;
  ack_at_once = true;
  spoken = false;
  config.mss = s.receive_mss;
  config.msl = s.msl;
  timestamps = s.timestamps;
  sack = s.sack;
  window_scale = s.window_scale;
  ts_offset = s.ts_offset;
  begin_life();

  rcv.irs = s.irs;
  rcv.synced = state != State::kSynSent;
  rcv.fin = s.rcv_fin;
  if (s.rcv_fin) rcv.fin_at = s.rcv_end;
  rcv.next = rcv.noted = rcv.released = s.rcv_end + (s.rcv_fin ? 1 : 0);  // all of it is stored
  // Where nothing but its SYN-ACK has come: that may be a cookie, and options are kept in its timestamp.
  if (s.active_open && s.rcv_end.value == 0 && !s.rcv_fin) {
    rcv.recent.start(s.ts_recent, now);
  } else {
    rcv.recent.inherit(s.ts_recent, now);
  }
  rcv.released_ts = rcv.recent.echo();
  rcv.shift = s.receive_scale;
  rcv.promised = std::max(s.edge, s.rcv_end);
  rcv.window = ReceiveWindow(s.receive_scale, std::max(std::min(s.edge, s.room_end), s.rcv_end));

  snd.iss = s.iss;
  snd.syn_acked = is_synchronized(state);
  snd.mss = s.send_mss;
  snd.shift = s.send_scale;
  snd.una = snd.nxt = s.snd_una + (s.fin_acked ? 1 : 0);
  snd.limit = std::max(snd.una, s.snd_end + (s.snd_fin ? 1 : 0));
  snd.stored = s.snd_una;
  snd.fin_sent = s.snd_fin && is_synchronized(state);  // perhaps; the state says so already
  snd.stored_fin = s.snd_fin;
  snd.wnd = snd.max_wnd = s.snd_wnd;
  snd.wl1 = to_seq(rcv.irs, rcv.next);
  snd.wl2 = snd.seq(snd.una);
  if (state != State::kSynSent) begin_send();
  if (may_confirm(s)) {
    const NonceSource source{host.nonce_secret(), tuple, active_open ? s.iss : s.irs, active_open ? s.irs : s.iss,
                             id.value};
    ways = std::make_unique<Ways>(Ways::resume(config.ways, source, host.stores(), active_open, s.ways));
  }
}

// Everything is in place: tell the peer where we are.
void Connection::Impl::speak() {
  if (closed() || spoken) return;
  spoken = true;
  if (snd.stored_fin) snd.fin_queued = true;
  HF_ASSERT(snd.stored_fin ? snd.limit <= snd.buffer.end() + 1 : snd.limit <= snd.buffer.end());
  if (confirming()) return follow(ways->speak());
  if (state == State::kSynSent || state == State::kSynReceived) return transmit_syn();
  if (state == State::kLastAck && snd.fin_acked()) return finish(CloseReason::kNormal);
  awaiting_answer = true;
  if (state == State::kTimeWait) start_time_wait();
  arm_keepalive();
  if (rcv.unnoted()) note(std::nullopt);
  // A bare ACK first, in reach of whatever the peer has; then one segment from SND.UNA, if there is any.
  emit_bare(snd.idle_position());
}

Snapshot Connection::Impl::snapshot() const {
  Snapshot s;
  s.tuple = tuple;
  s.state = ways && ways->establishes() ? State::kEstablished : state;
  if (ways && (ways->confirming() || ways->proving() || state == State::kSynSent)) s.ways = ways->record();
  s.active_open = active_open;
  s.iss = snd.iss;
  s.irs = rcv.irs;
  s.send_mss = snd.mss;
  s.receive_mss = config.mss;
  s.timestamps = timestamps;
  s.sack = sack;
  s.window_scale = window_scale;
  s.send_scale = snd.shift;
  s.receive_scale = rcv.shift;
  s.ts_offset = ts_offset;
  s.ts_recent = rcv.recent.value();
  s.snd_una = snd.acked_data();
  s.fin_acked = snd.fin_acked();
  s.snd_wnd = static_cast<std::uint32_t>(std::min<std::uint64_t>(snd.wnd, ~std::uint32_t{0}));
  s.rcv_end = rcv.data_end();
  s.rcv_fin = rcv.fin;
  s.snd_end = snd.stored;
  s.snd_fin = snd.fin_queued && snd.stored_fin;
  s.edge = std::max(rcv.window.edge(), rcv.promised);
  s.msl = config.msl;
  return s;
}

}  // namespace holdfast::tcp
