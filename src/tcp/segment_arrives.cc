// RFC 9293 section 3.10.7.4, in its order, with RFC 7323 (PAWS) in front and RFC 5961 in steps two, three and five.
#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "tcp/connection_impl.h"

namespace holdfast::tcp {

void Connection::Impl::segment_arrives(const SegmentIn& segment) {
  if (closed() || (!spoken && !segment.header.flags.rst)) return;
  if (state == State::kSynSent) return syn_sent_arrives(segment);
  if (predicted(segment)) return;
  const wire::TcpHeader& h = segment.header;
  if (state == State::kSynReceived && syn_received_repeats(segment)) return;

  // First: sequence number.
  const std::int64_t begin = to_position(rcv.irs, h.seq, rcv.next);
  const std::int64_t data = begin + (h.flags.syn ? 1 : 0);
  const std::int64_t end = data + static_cast<std::int64_t>(segment.payload.size()) + (h.flags.fin ? 1 : 0);
  if (!h.flags.rst && timestamps) {
    if (!h.options.timestamps) return;  // RFC 7323 section 3.2
    if (rcv.recent.rejects(h.options.timestamps->value, now))
      return unacceptable(segment, end);  // section 5.3, R1 (PAWS)
  }
  // The sender of step N probes from below the window.
  const bool step_probe = confirming() && h.options.ways && begin == -1 && end == -1;
  if (!acceptable(begin, end) && !step_probe) {
    if (!h.flags.rst && !old_ack_arrives(segment, end)) unacceptable(segment, end);
    return;
  }
  // Second: RST. Third: security. Fourth: SYN.
  if (h.flags.rst) return reset_arrives(begin);
  if (h.flags.syn) return challenge();
  // Fifth: ACK.
  if (!h.flags.ack) return;
  last_heard = now;
  keepalives = 0;
  if (confirming() && (!confirming_arrives(segment, begin) || closed())) return;
  if (!ack_arrives(segment) || closed()) return;
  if (ways && ways->proving()) proving_arrives(segment);
  if (closed()) return;
  // Not before its ACK has been believed: a forged segment with a timestamp of its own choice would make PAWS drop the
  // peer's.
  if (timestamps && h.options.timestamps) {
    const StreamOffset last_ack_sent = HF_MUTANT(kLastAckFromReleased) ? rcv.released : rcv.noted;
    if (begin <= static_cast<std::int64_t>(last_ack_sent.value)) rcv.recent.update(h.options.timestamps->value, now);
  }
  // Sixth: URG.
  if (h.flags.urg && h.urgent > 0 && may_receive(state) && begin >= 0) {
    const StreamOffset urgent_end{static_cast<std::uint64_t>(begin) + h.urgent};
    rcv.urgent = rcv.urgent ? std::max(*rcv.urgent, urgent_end) : urgent_end;
  }
  // Seventh and eighth: text and FIN.
  if (segment.payload.empty() && !h.flags.fin) return;
  if (begin < 0) {  // from before the stream's first byte: a keepalive's
    const auto before = static_cast<std::size_t>(-begin);
    ack_owed = true;
    if (before >= segment.payload.size()) return;
    return data_arrives(StreamOffset{}, segment.payload.subspan(before), h.flags.fin, h.flags.psh);
  }
  data_arrives(StreamOffset{static_cast<std::uint64_t>(begin)}, segment.payload, h.flags.fin, h.flags.psh);
}

// Header prediction: the next data of a stream that flows one way. Everything else takes the long way.
bool Connection::Impl::predicted(const SegmentIn& segment) {
  const wire::TcpHeader& h = segment.header;
  if (state != State::kEstablished || segment.payload.empty() || h.seq != rcv.next_seq()) return false;
  if (ways && ways->proving()) return false;
  if (!h.flags.ack || h.flags.syn || h.flags.fin || h.flags.rst || h.flags.urg) return false;
  if (!rcv.reassembly.empty() || rcv.fin_at || h.ack != snd.seq(snd.una) || h.options.sack.count > 0) return false;
  if (std::uint64_t{h.window} << snd.shift != snd.wnd || snd.in_flight() > 0 || awaiting_answer) return false;
  if (rcv.next + segment.payload.size() > rcv.window.edge()) return false;
  if (timestamps) {
    if (!h.options.timestamps || timestamp_before(h.options.timestamps->value, rcv.recent.value())) return false;
    const StreamOffset last_ack_sent = HF_MUTANT(kLastAckFromReleased) ? rcv.released : rcv.noted;
    if (rcv.next <= last_ack_sent) rcv.recent.update(h.options.timestamps->value, now);
  }
  last_heard = now;
  keepalives = 0;
  snd.wl1 = h.seq;
  snd.wl2 = h.ack;
  in_order(segment.payload, std::nullopt, h.flags.psh);
  return true;
}

// The first step's table, with the released edge for RCV.NXT (a peer's keepalives and probes go by what we
// acknowledged) and the highest edge ever offered, by a predecessor too, for RCV.NXT + RCV.WND. A segment that begins
// at the edge is let in for its ACK.
bool Connection::Impl::acceptable(std::int64_t begin, std::int64_t end) const {
  return end >= static_cast<std::int64_t>(rcv.released.value) &&
         begin <= static_cast<std::int64_t>(std::max({rcv.window.edge(), rcv.next, rcv.promised}).value);
}

// A peer that was replaced as well speaks from where it knows that we are, which may be below what we have
// acknowledged: its SND.UNA lags as ours does. Each would discard what the other says for its sequence number, and
// never learn. Until we have been answered an old segment therefore counts for its ACK: that was true when it was said,
// and stays so. (Who guesses at it must hit what is unacknowledged, and PAWS.)
bool Connection::Impl::old_ack_arrives(const SegmentIn& segment, std::int64_t end) {
  const wire::TcpHeader& h = segment.header;
  if (!awaiting_answer || !h.flags.ack || h.flags.syn) return false;
  const std::int64_t position = to_position(snd.iss, h.ack, snd.una);
  if (end > static_cast<std::int64_t>(rcv.released.value) || position <= static_cast<std::int64_t>(snd.una.value)) {
    return false;
  }
  if (!ack_arrives(segment)) return closed();
  ack_owed = true;  // it has to learn, too
  return true;
}

// "An acknowledgment should be sent in reply" — but not for a duplicate of what is not stored yet: a peer without SACK
// would count it as a sign of loss, and the ACK that it wants is on its way.
void Connection::Impl::unacceptable(const SegmentIn& segment, std::int64_t end) {
  const wire::TcpHeader& h = segment.header;
  if (state == State::kSynReceived && !record_stored) return;
  const auto released_edge = static_cast<std::int64_t>(rcv.released.value);
  const auto next = static_cast<std::int64_t>(rcv.next.value);
  const bool unstored = end > released_edge && end <= next;
  if (unstored && !rcv.window.stalled() && !HF_MUTANT(kDuplicateDrawsAck)) return;
  // Bare ACKs that answer each other would never end (RFC 5961 section 7).
  if (segment.payload.empty() && !h.flags.fin) return challenge();
  if (sack && end <= released_edge && !segment.payload.empty()) {
    const auto length = static_cast<std::uint32_t>(segment.payload.size());
    rcv.dsack = wire::SackBlock{h.seq, h.seq + length};
  }
  ack_owed = true;
}

// RFC 5961 section 3.2, with two exact places: peers answer our ACK with a RST at the ACK that we sent, and abort at
// what they sent.
void Connection::Impl::reset_arrives(std::int64_t position) {
  const bool at_released = position == static_cast<std::int64_t>(rcv.released.value);
  const bool at_next = position == static_cast<std::int64_t>(rcv.next.value) && !HF_MUTANT(kResetAgainstOneEdge);
  if (at_released || at_next) {
    if (state == State::kTimeWait) return finish(CloseReason::kNormal);  // both streams had ended already
    const bool refused = state == State::kSynReceived && active_open && !confirming();
    if (ways) ways->reset_by_peer();
    return finish(refused ? CloseReason::kRefused : CloseReason::kPeerReset);
  }
  if (position > static_cast<std::int64_t>(rcv.released.value)) challenge();
}

void Connection::Impl::challenge() {
  if (challenges.take(now)) ack_owed = true;
}

// RFC 6191 section 2, RFC 9293 section 3.6.1: a SYN whose timestamp or sequence number is beyond the old incarnation's.
bool Connection::Impl::may_be_replaced_by(const SegmentIn& syn) const {
  const wire::TcpHeader& h = syn.header;
  if (state != State::kTimeWait || !h.flags.syn || h.flags.ack || h.flags.rst || h.flags.fin) return false;
  if (!rcv.all_released()) return false;  // the old one has something to acknowledge yet
  const bool higher = h.seq > rcv.next_seq();
  if (!timestamps || !h.options.timestamps) return higher;
  const std::uint32_t value = h.options.timestamps->value;
  if (value == rcv.recent.value()) return higher;
  return timestamp_before(rcv.recent.value(), value);
}

}  // namespace holdfast::tcp
