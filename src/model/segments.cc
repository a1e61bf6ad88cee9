// A segment arrives (tcp/segment_arrives.cc, tcp/handshake.cc, tcp/confirming.cc; stack/input.cc where there is no
// connection). ISNs are so far apart that a segment of another connection is never in the window.
#include <algorithm>

#include "base/mutant.h"
#include "model/event.h"

namespace holdfast::model {

using tcp::CloseReason;
using tcp::State;
using tcp::Ways;

void Event::arrives(const Message& m) {
  if (s_.writing + 2 > kMaxWrites) return;  // storage is behind: frames are left in the device, or lost
  if (config_.cookies && s_.state == State::kSynReceived && m.acked != s_.iss && is_cookie(m) &&
      (!s_.ways || s_.ways->received() <= 1)) {
    finish(CloseReason::kNormal, false);  // what counts is what the peer has
  }
  if (s_.closed()) return unknown_arrives(m);
  if (s_.state == State::kSynSent) return syn_sent_arrives(m);
  if (s_.state == State::kSynReceived && syn_received_repeats(m)) return;
  segment_arrives(m);
}

// ---- No connection ----

void Event::unknown_arrives(const Message& m) {
  if (m.rst) return;
  if (!config_.initiator && m.syn && !m.ack) {
    if (too_few(m)) return;
    return config_.cookies ? send_cookie(m) : accept(m);
  }
  if (config_.cookies && is_cookie(m)) return open_by_cookie(m);
  refuse(m);
}

// RFC 9293 section 3.10.7.1.
void Event::refuse(const Message& m) {
  if (m.rst) return;
  Message rst;
  rst.rst = true;
  if (m.ack) {
    rst.seq = m.acked;
  } else {
    rst.ack = true;
    rst.acked = m.seq;
  }
  send(rst);
}

// Fewer ways than the service wants are refused.
bool Event::too_few(const Message& syn) {
  if ((proposes(syn) ? syn.option->ways : wire::kMinWays) >= config_.ways.min) return false;
  if (s_.incarnations >= config_.incarnations) return true;
  Message rst;
  rst.rst = rst.ack = true;
  rst.acked = syn.seq;
  if (proposes(syn)) {
    rst.option = wire::WaysOption{.ways = config_.ways.min, .step = 2, .is_refused = true, .echo = syn.option->nonce};
  }
  send(rst);
  return true;
}

void Event::accept(const Message& syn) {
  if (s_.incarnations >= config_.incarnations) return;
  s_.state = State::kSynReceived;
  s_.agreed[s_.incarnations] = syn.seq;
  s_.iss = isn_of(false, s_.incarnations++);
  s_.number = s_.incarnations;
  s_.irs = syn.seq;
  s_.peer_offer = syn.offer;
  if (proposes(syn)) {
    const auto source = nonce_source(false, s_.life, s_.irs, s_.iss, s_.number);
    s_.ways = Ways::answer(config_.ways, source, config_.stores, *syn.option);
  }
  write(true);
}

// ---- SYN-SENT ----

void Event::syn_sent_arrives(const Message& m) {
  const bool acked = m.ack && m.acked == s_.iss && s_.syn_tries > 0;
  if (m.ack && !acked) {
    if (s_.record_stored && s_.syn_tries > 0) refuse(m);
    return;
  }
  if (m.rst) {
    if (!acked) return;
    if (s_.ways) s_.ways->refused(m.option);
    const bool wants_more = s_.ways && s_.ways->report().failure == tcp::WaysFailure::kPeerWantsMore;
    return finish(wants_more ? CloseReason::kHandshakeRefused : CloseReason::kRefused, false);
  }
  if (!m.syn || !acked) return;  // nobody opens from the other end
  Ways::Do settled = Ways::Do::kFallBack;
  if (s_.ways) {
    settled = s_.ways->syn_arrives(m.option, acked, wire::SeqNum{m.seq});
    if (settled == Ways::Do::kNothing) return;
    if (settled == Ways::Do::kReset) {
      refuse(m);
      return finish(CloseReason::kHandshakeRefused, false);
    }
  }
  s_.irs = m.seq;
  s_.peer_offer = m.offer;
  s_.agreed[s_.incarnations - 1U] = m.seq;
  s_.synced = false;
  s_.syn_tries = 0;
  if (settled == Ways::Do::kStore) {
    s_.state = State::kSynReceived;
  } else {
    opened();
  }
  write(true);
}

// ---- SYN-RECEIVED ----

bool Event::syn_received_repeats(const Message& m) {
  if (!m.syn || m.seq != s_.irs) return false;
  if (confirming() && config_.initiator) {
    if (m.ack && m.acked == s_.iss && m.option) follow(feed(m));
  } else if (confirming() && s_.ways->received() > 1) {
    if (!m.ack) repeat_syn_ack(m);
  } else if (!m.ack && s_.record_stored) {
    const std::uint8_t tries = s_.syn_tries;
    transmit_syn();
    s_.syn_tries = std::max<std::uint8_t>(tries, 1);  // they are the timer's
  }
  return true;
}

void Event::repeat_syn_ack(const Message& syn) {
  if (!proposes(syn) || !s_.record_stored || !pace_.seldom) return;
  was_seldom_ = true;
  Message m;
  m.syn = m.ack = true;
  m.option = s_.ways->step_two(*syn.option);
  m.option->copies = copies();
  send(m);
}

void Event::segment_arrives(const Message& m) {
  const bool ours = m.seq == s_.irs;
  const bool step_probe = confirming() && m.option && m.probe;
  if (!ours || (m.probe && !step_probe)) {
    if (!m.rst && (s_.state != State::kSynReceived || s_.record_stored)) challenge();
    return;
  }
  if (m.rst) return finish(CloseReason::kPeerReset, false);
  if (m.syn) return challenge();
  if (!m.ack) return;
  if (confirming() && !confirming_arrives(m)) return;
  if (s_.closed() || !ack_arrives(m)) return;
  if (s_.proving()) proving_arrives(m);
  if (!s_.closed()) s_.ack_owed |= m.data;
}

void Event::challenge() {
  if (!pace_.challenge) return;
  was_challenge_ = true;
  s_.ack_owed = true;
}

// In CONFIRMING. True: it goes on as with any connection.
bool Event::confirming_arrives(const Message& m) {
  const bool acks_us = m.acked == s_.iss || HF_MUTANT(kWaysAckUnchecked);
  if (!acks_us || (s_.ways->sent() == 0 && s_.ways->due() <= 2)) return false;
  const std::uint8_t received = s_.ways->received();
  const Ways::Do what = feed(m);
  if (what == Ways::Do::kFallBack) return true;
  if (s_.ways->received() == received && what == Ways::Do::kSend && pace_.on_its_way) return false;
  const bool answer = s_.ways->received() == s_.ways->ways() && m.probe;
  follow(what);
  if (s_.closed()) return false;
  s_.ack_owed |= answer;
  if (!confirming()) return true;
  if (m.data) {
    s_.data_held = true;
    if (s_.ways->phase() == Ways::Phase::kWaiting && !pace_.on_its_way) transmit_step();
  }
  return false;
}

Ways::Do Event::feed(const Message& m) {
  Ways& ways = *s_.ways;
  const std::uint8_t before = ways.received();
  const Ways::Do what = ways.arrives(m.option);
  if (ways.received() == before) return what;
  const std::uint8_t step = ways.received();
  if (s_.resumed ? step <= before : step != before + 2) broke(Property::kOrder);
  const std::uint8_t asked = m.option->is_volatile ? std::uint8_t{0} : tcp::copies_asked(step);
  const bool enough = m.existed >= asked && m.option->copies >= asked && !m.option->is_short;
  if (config_.ways.strict && !enough && ways.phase() != Ways::Phase::kFailed) broke(Property::kCopies);
  return what;
}

// ---- ACK ----

bool Event::ack_arrives(const Message& m) {
  if (s_.state == State::kSynReceived) {
    if (!s_.record_stored || s_.syn_tries == 0) return false;
    if (m.acked != s_.iss && !HF_MUTANT(kWaysAckUnchecked)) {
      refuse(m);
      return false;
    }
    opened();
    write(false);
  }
  if (m.acked != s_.iss) challenge();
  return m.acked == s_.iss;
}

// ESTABLISHED, with step N sent.
void Event::proving_arrives(const Message& m) {
  const Ways::Do what = feed(m);
  if (!s_.proving()) return;
  if (what == Ways::Do::kSendSeldom || !pace_.on_its_way) follow(what);
}

}  // namespace holdfast::model
