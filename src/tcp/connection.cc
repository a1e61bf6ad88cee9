#include "tcp/connection.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/assert.h"
#include "tcp/connection_impl.h"

namespace holdfast::tcp {

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) { impl_->self = this; }
Connection::~Connection() = default;

Connection::Impl::Impl(Host& host_, const Config& config_, StreamId id_, const wire::FourTuple& tuple_,
                       StreamOffset first_outbound)
    : host(host_),
      config(config_),
      id(id_),
      tuple(tuple_),
      rcv(config_.reassembly_bytes),
      snd(config_, first_outbound) {
  HF_ASSERT(config.mss >= 88 && config.send_buffer > 0 && config.max_rto >= config.min_rto);
}

void Connection::Impl::apply(Event event) {
  const auto to = next_state(state, event);
  if (!to) return;
  const State from = std::exchange(state, *to);
  host.state_changed(*self, from, state);
}

void Connection::Impl::finish(CloseReason reason) {
  if (std::exchange(closing_down, true)) return;
  if (!closed()) apply(Event::kEnd);
  timers.cancel_all();
  ack_owed = false;
  host.finished(*self, reason);
}

void Connection::Impl::reset(CloseReason reason) {
  if (closed()) return;
  // A SYN that never left has nothing to reset, and nobody to tell.
  const bool spoken_to = syn_tries > 0 || (ways && ways->sent() > 0) || resumed;
  const bool known_to_peer = state != State::kSynSent && (state != State::kSynReceived || spoken_to) && rcv.synced;
  if (known_to_peer) {
    // A peer that never got step N stands before our first byte still; what it got since then it only holds.
    const bool may_stand_before_all = ways && ways->last_step_unproved() && snd.idle_position() > snd.una;
    std::array<SegmentOut, 2> segments;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      wire::TcpHeader& reset = segments[i].header;
      reset = header(snd.seq(i == 0 ? snd.idle_position() : snd.una));
      reset.flags.rst = true;
      reset.options = {};
    }
    host.transmit_reset(*self, std::span(segments).first(may_stand_before_all ? 2 : 1), reason);
  }
  finish(reason);
}

// ---- From the network and the clock ----

void Connection::on_segment(const SegmentIn& segment, Time now) {
  Impl::Call call(*impl_, now);
  impl_->segment_arrives(segment);
}

Time Connection::deadline() const { return impl_->timers.earliest(); }

void Connection::on_deadline(Time now) {
  Impl::Call call(*impl_, now);
  impl_->deadline_passed();
}

// ---- From the gate ----

void Connection::on_record_stored(Time now) {
  Impl::Call call(*impl_, now);
  if (impl_->closed() || std::exchange(impl_->record_stored, true)) return;
  if (impl_->ways && impl_->ways->phase() == Ways::Phase::kStoring) return impl_->stage_stored();
  if (impl_->state == State::kSynSent || impl_->state == State::kSynReceived) impl_->transmit_syn();
}

void Connection::release(const AckNote& note, Time now, bool more) {
  Impl::Call call(*impl_, now);
  impl_->ack_deferred = more;
  impl_->released(note);
}

void Connection::on_copies(Time now) {
  Impl::Call call(*impl_, now);
  if (awaits_copies()) impl_->count_copies();
}

void Connection::flush_acknowledgement(Time now) {
  Impl::Call call(*impl_, now);
  impl_->ack_deferred = false;
}

void Connection::on_outbound_stored(StreamOffset end, bool fin, Time now) {
  Impl::Call call(*impl_, now);
  if (impl_->closed()) return;
  Sender& snd = impl_->snd;
  HF_ASSERT(end <= snd.buffer.end() && (!fin || end == snd.buffer.end()));
  snd.stored = std::max(snd.stored, end);
  if (fin) snd.fin_queued = snd.stored_fin = true;
}

void Connection::on_allowance_changed(Time now) {
  Impl::Call call(*impl_, now);
  Impl& impl = *impl_;
  if (!impl.may_transmit() || !is_synchronized(impl.state)) return;
  const bool was_stalled = impl.rcv.window.stalled();
  const ReceiveAllowance allowance = impl.host.receive_allowance(*this);
  if (impl.rcv.window.worth_an_update(impl.rcv.released, allowance, impl.full_segment())) impl.ack_owed = true;
  impl.rcv.window.set_stalled(allowance.stalled);
  if (was_stalled && !allowance.stalled && impl.rcv.unnoted()) impl.arm_delayed_ack();
  if (allowance.stalled) impl.timers.cancel(Timer::kDelayedAck);
}

void Connection::speak(Time now) {
  Impl::Call call(*impl_, now);
  impl_->speak();
}

// ---- From the service ----

std::size_t Connection::send_room() const {
  return impl_->snd.fin_queued || impl_->closed() ? 0 : impl_->snd.buffer.room();
}

void Connection::queue(Bytes bytes) {
  if (impl_->closed()) return;
  HF_ASSERT(!impl_->snd.fin_queued && bytes.size() <= impl_->snd.buffer.room());
  impl_->snd.buffer.append(bytes);
  impl_->answered_in_deliver |= impl_->delivering;
}

void Connection::queue_fin() { impl_->snd.fin_queued = true; }

void Connection::abort(Time now) {
  Impl::Call call(*impl_, now);
  impl_->reset(CloseReason::kAborted);
}

// ---- State ----

StreamId Connection::id() const { return impl_->id; }
bool Connection::awaits_copies() const {
  return !impl_->closed() && impl_->ways && impl_->ways->phase() == Ways::Phase::kCalling;
}
std::optional<WaysReport> Connection::handshake() const {
  return impl_->ways ? std::optional(impl_->ways->report()) : std::nullopt;
}
const wire::FourTuple& Connection::tuple() const { return impl_->tuple; }
State Connection::state() const { return impl_->state; }
Snapshot Connection::snapshot() const { return impl_->snapshot(); }
StreamOffset Connection::received() const { return impl_->rcv.data_end(); }
wire::SeqNum Connection::awaited() const { return to_seq(impl_->rcv.irs, impl_->rcv.released); }

StreamOffset Connection::released() const { return std::min(impl_->rcv.released, impl_->rcv.data_end()); }
StreamOffset Connection::advertised() const { return impl_->rcv.window.edge(); }
StreamOffset Connection::acknowledged() const { return impl_->snd.acked_data(); }
StreamOffset Connection::queued() const { return impl_->snd.buffer.end(); }
bool Connection::answered() const { return impl_->spoken && !impl_->awaiting_answer; }
unsigned Connection::receive_window_shift() const { return impl_->rcv.shift; }
std::uint32_t Connection::receive_window_scale_limit() const { return std::uint32_t{65535} << impl_->rcv.shift; }
Duration Connection::smoothed_rtt() const { return impl_->snd.rtt.smoothed(); }
Duration Connection::retransmission_timeout() const { return impl_->snd.rtt.rto(); }
std::optional<StreamOffset> Connection::urgent_end() const { return impl_->rcv.urgent; }
std::uint32_t Connection::soft_errors() const { return impl_->soft_errors; }
bool Connection::may_be_replaced_by(const SegmentIn& syn) const { return impl_->may_be_replaced_by(syn); }

}  // namespace holdfast::tcp
