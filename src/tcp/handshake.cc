// SYN-SENT and SYN-RECEIVED: RFC 9293 sections 3.5 and 3.10.7.3, options of RFC 7323, 2018 and 6691.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "tcp/connection_impl.h"
#include "tcp/reset.h"

namespace holdfast::tcp {
namespace {
// Below this a segment holds next to nothing beside its options; a peer that asks for it wants us to waste work
// (CVE-2019-11479).
constexpr std::uint16_t kMinMss = 64;
constexpr std::uint16_t kDefaultMss = 536;  // RFC 9293 MUST-15
constexpr std::uint32_t kTimestampBytes = 12;
constexpr std::uint8_t kMaxShift = 14;  // RFC 7323 section 2.3
}  // namespace

std::unique_ptr<Connection> Connection::accept(Host& host, const Config& config, StreamId id,
                                               const wire::FourTuple& tuple, const SegmentIn& syn, wire::SeqNum iss,
                                               std::uint32_t ts_offset, Time now) {
  auto impl = std::make_unique<Impl>(host, config, id, tuple, StreamOffset{});
  Impl& c = *impl;
  c.now = c.last_heard = now;
  c.state = State::kSynReceived;
  c.snd.iss = iss;
  c.ts_offset = ts_offset;
  c.begin_life();
  c.take_syn_options(syn);
  c.rcv.synced = true;  // and nothing leaves before on_record_stored()
  c.rcv.released_ts = c.rcv.recent.value();
  if (const auto proposal = ways_proposal(syn.header)) {
    const NonceSource source{host.nonce_secret(), tuple, c.rcv.irs, iss, id.value};
    c.ways = std::make_unique<Ways>(Ways::answer(config.ways, source, host.stores(), *proposal));
  }
  c.begin_send();
  return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

// The cookie's SYN-ACK left so long ago that it says nothing about the round-trip time.
std::unique_ptr<Connection> Connection::accept_cookie(Host& host, const Config& config, StreamId id,
                                                      const wire::FourTuple& tuple, const wire::TcpHeader& syn,
                                                      wire::SeqNum iss, const SegmentIn& segment,
                                                      std::uint32_t ts_offset, Time now) {
  auto connection = accept(host, config, id, tuple, {syn, {}}, iss, ts_offset, now);
  Impl& c = *connection->impl_;
  if (const auto& third = segment.header.options.ways; third && third->ways > wire::kMinWays) {
    const NonceSource source{host.nonce_secret(), tuple, syn.seq, iss, id.value};
    const auto ways = Ways::by_cookie(config.ways, source, host.stores(), *third);
    HF_ASSERT(ways.has_value());
    c.ways = std::make_unique<Ways>(*ways);
    c.take_step(segment, false);
    return connection;
  }
  c.state = State::kEstablished;
  c.snd.syn_acked = true;
  c.ack_owed = true;  // the window was 0, and the peer may have something to send
  c.arm_keepalive();
  return connection;
}

std::unique_ptr<Connection> Connection::connect(Host& host, const Config& config, StreamId id,
                                                const wire::FourTuple& tuple, wire::SeqNum iss, std::uint32_t ts_offset,
                                                Time now) {
  auto impl = std::make_unique<Impl>(host, config, id, tuple, StreamOffset{});
  Impl& c = *impl;
  c.now = c.last_heard = now;
  c.state = State::kSynSent;
  c.active_open = true;
  c.snd.iss = iss;
  c.ts_offset = ts_offset;
  c.begin_life();
  if (config.ways.max > wire::kMinWays) {
    const NonceSource source{host.nonce_secret(), tuple, iss, wire::SeqNum{0}, id.value};
    c.ways = std::make_unique<Ways>(Ways::propose(config.ways, source, host.stores()));
  }
  return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

// What both SYNs offer is in force. Data and FIN on a SYN are not taken: the peer sends them again.
void Connection::Impl::take_syn_options(const SegmentIn& syn) {
  const wire::TcpOptions& options = syn.header.options;
  rcv.irs = syn.header.seq;
  snd.mss = std::clamp(options.mss.value_or(kDefaultMss), kMinMss, std::max(config.mss, kMinMss));
  timestamps = config.timestamps && options.timestamps.has_value();
  sack = config.sack && options.sack_permitted;
  window_scale = config.window_scale && options.window_scale.has_value();
  if (window_scale) {
    snd.shift = std::min(*options.window_scale, kMaxShift);
    rcv.shift = window_shift_for(config.max_receive_window);
    rcv.window.set_shift(rcv.shift);
  }
  if (timestamps) rcv.recent.start(options.timestamps->value, now);
  snd.wnd = snd.max_wnd = syn.header.window;  // never scaled in a SYN (RFC 7323 section 2.2)
  snd.wl1 = syn.header.seq;
  snd.wl2 = snd.iss + 1;
}

void Connection::Impl::begin_send() {
  const std::uint32_t mss = snd.mss - (timestamps ? kTimestampBytes : 0);
  snd.loss = LossRecovery(sack);
  snd.congestion = make_congestion(config.congestion, mss, initial_window(mss, config.initial_window_segments));
}

wire::TcpOptions Connection::Impl::syn_options() const {
  const bool answer = state == State::kSynReceived;
  wire::TcpOptions options;
  options.mss = config.mss;
  if (answer ? window_scale : config.window_scale) options.window_scale = window_shift_for(config.max_receive_window);
  options.sack_permitted = answer ? sack : config.sack;
  if (answer ? timestamps : config.timestamps) {
    options.timestamps = wire::TcpTimestamps{host.timestamp_clock() + ts_offset, answer ? rcv.released_ts : 0};
  }
  return options;
}

wire::TcpHeader Connection::Impl::syn_header() {
  wire::TcpHeader h;
  h.source = tuple.local.port;
  h.destination = tuple.peer.port;
  h.seq = snd.iss;
  h.flags.syn = true;
  h.options = syn_options();
  if (state == State::kSynReceived) {
    h.flags.ack = true;
    h.ack = to_seq(rcv.irs, rcv.released);
  }
  h.window = rcv.window.advertise(rcv.released, host.receive_allowance(*self), config.mss, 0);
  return h;
}

// SYN, or SYN-ACK: steps 1 and 2. Also every repetition.
void Connection::Impl::transmit_syn() {
  if (!record_stored || (state == State::kSynReceived && !rcv.synced)) return;
  HF_ASSERT(state == State::kSynSent || state == State::kSynReceived);
  SegmentOut segment;
  segment.header = syn_header();
  const bool ordinary = !ways || (state == State::kSynReceived && (ways->is_initiator() || ways->fell_back()));
  if (!ordinary) {
    segment.header.options.ways = ways->option(copies());
    ways->left(segment.header.options.ways->copies);
  }
  if (syn_tries < 0xff) ++syn_tries;
  if (syn_tries == 1) syn_sent = step_sent = now;
  if (!timers.armed(Timer::kRetransmit)) timers.set(Timer::kRetransmit, now + snd.rtt.rto());
  ack_owed = false;
  host.transmit(*self, segment);
}

void Connection::Impl::syn_timeout() {
  if (confirming()) return step_timeout();
  if (syn_tries > config.syn_retries) return finish(CloseReason::kTimeout);
  snd.rtt.back_off();
  transmit_syn();
}

// Section 3.10.7.3.
void Connection::Impl::syn_sent_arrives(const SegmentIn& segment) {
  const wire::TcpHeader& h = segment.header;
  const bool acked = h.flags.ack && h.ack == snd.iss + 1 && syn_tries > 0;
  if (h.flags.ack && !acked) {  // first
    if (!h.flags.rst) refuse_ack(segment);
    return;
  }
  if (h.flags.rst) {  // second; RFC 5961 section 3.2: only with an ACK of our SYN
    if (!acked) return;
    if (ways) ways->refused(h.options.ways);
    const bool wants_more = ways && ways->report().failure == WaysFailure::kPeerWantsMore;
    return finish(wants_more ? CloseReason::kHandshakeRefused : CloseReason::kRefused);
  }
  if (!h.flags.syn) return;  // fifth
  Ways::Do settled = Ways::Do::kFallBack;
  if (ways) {
    settled = ways->syn_arrives(h.options.ways, acked, h.seq);
    if (settled == Ways::Do::kNothing) return;  // no answer to our step 1
    if (settled == Ways::Do::kReset) {
      if (acked) refuse_ack(segment);
      return finish(CloseReason::kHandshakeRefused);
    }
  }
  take_syn_options(segment);  // fourth
  begin_send();
  timers.cancel(Timer::kRetransmit);
  last_heard = now;
  if (settled == Ways::Do::kStore) return begin_confirming(segment);
  record_stored = false;  // it lacks the peer's sequence number, and our next segment acknowledges that
  if (acked) {
    established(segment);
  } else {
    syn_tries = 0;  // the SYN-ACK is a new segment
    apply(Event::kSynArrives);
  }
  if (!closed()) note(std::nullopt);
}

// The answer to our SYN, or SYN-ACK, tells the round-trip time.
void Connection::Impl::sample_syn(const SegmentIn& segment) {
  if (syn_tries == 1 && !resumed) {  // a predecessor's SYN may be what was answered
    snd.rtt.sample(now - syn_sent);
  } else if (const auto echoed = echoed_round_trip(segment.header)) {
    snd.rtt.sample(*echoed);
  } else if (!resumed) {
    snd.rtt.restart(std::chrono::seconds(3));
  }
  step_lost |= syn_tries > 1;
}

// Our SYN is acknowledged.
void Connection::Impl::established(const SegmentIn& segment) {
  const wire::TcpHeader& h = segment.header;
  snd.syn_acked = true;
  timers.cancel(Timer::kRetransmit);
  sample_syn(segment);
  if (syn_tries > 1) snd.congestion->set_cwnd(effective_mss());  // RFC 5681 section 3.1
  syn_tries = 0;
  const std::uint8_t shift = h.flags.syn ? 0 : snd.shift;
  snd.wnd = std::uint64_t{h.window} << shift;
  snd.max_wnd = std::max(snd.max_wnd, snd.wnd);
  snd.wl1 = h.seq;
  snd.wl2 = h.ack;
  apply(Event::kSynAcked);
  arm_keepalive();
}

// The peer's SYN again, in SYN-RECEIVED: it has not seen our SYN-ACK; or a SYN-ACK, which is how a simultaneous open
// ends (RFC 9293 section 3.5, figure 7). Not of an active open alone: somebody between may have taken our SYN-ACK apart
// (a split handshake), and the peer takes what it gets for a simultaneous open. True: that is all there was to do.
bool Connection::Impl::syn_received_repeats(const SegmentIn& segment) {
  const wire::TcpHeader& h = segment.header;
  if (!h.flags.syn || h.flags.rst || h.seq != rcv.irs) return false;
  if (confirming() && active_open) {
    if (!h.flags.ack || h.ack != snd.iss + 1 || !h.options.ways) return true;
    const Ways::Do what = ways->arrives(h.options.ways);
    if (what != Ways::Do::kSend || (!on_its_way() && challenges.take(now))) follow(what);
    return true;
  }
  if (confirming() && ways->received() > 1) {
    if (!h.flags.ack) repeat_syn_ack(segment);
    return true;
  }
  if (h.flags.ack && h.ack == snd.iss + 1 && syn_tries > 0) {
    if (confirming() && (h.options.ways || ways->arrives(std::nullopt) != Ways::Do::kFallBack)) return true;
    established(segment);
    ack_owed = true;
  } else if (!h.flags.ack && record_stored) {
    // The peer is there: this SYN-ACK has as long to be answered as any. Given up in between, its answer would be
    // reset. Once, or whoever repeats a SYN would keep a half-open connection for ever.
    const bool last_wait = syn_tries > config.syn_retries;
    if (last_wait && !std::exchange(syn_waited_longer, true)) timers.set(Timer::kRetransmit, now + snd.rtt.rto());
    const std::uint8_t tries = syn_tries;
    transmit_syn();
    syn_tries = std::max<std::uint8_t>(tries, 1);  // they are the timer's
  }
  return true;
}

// An ACK of something never sent, before the connection is synchronized: <SEQ=SEG.ACK><CTL=RST> (section 3.10.7). It
// speaks of that segment only; the connection goes on.
void Connection::Impl::refuse_ack(const SegmentIn& segment) {
  if (!record_stored || syn_tries == 0 || !challenges.take(now)) return;
  const auto refusal = refusal_for(segment);
  if (!refusal) return;
  SegmentOut out;
  out.header = *refusal;
  host.transmit(*self, out);
}

}  // namespace holdfast::tcp
