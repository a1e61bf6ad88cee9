// A flood: SYNs are answered with cookies, of which nothing is kept, and their ACKs open connections
// (stack/cookies.cc).
#include <algorithm>

#include "model/event.h"

namespace holdfast::model {

using tcp::State;
using tcp::Ways;

void Event::send_cookie(const Message& syn) {
  Message m;
  m.syn = m.ack = true;
  m.seq = cookie_isn_of(syn.seq, s_.life);
  m.acked = syn.seq;
  m.offer = offer_of(m.seq);
  if (proposes(syn)) {
    const auto source = nonce_source(false, s_.life, syn.seq, m.seq, 0);
    m.option = Ways::answer(config_.ways, source, config_.stores, *syn.option).option(0);
  }
  sent_.push_back(m);  // it asserts nothing that is stored
}

// The ACK of a cookie, which no connection that is over has used. With the option it must answer step 2.
bool Event::is_cookie(const Message& m) const {
  if (!m.ack || m.syn || m.rst || m.acked != cookie_isn_of(m.seq, s_.life)) return false;
  if (std::find(s_.used.begin(), s_.used.end(), m.seq) != s_.used.end()) return false;
  if (!m.option) return config_.ways.min == wire::kMinWays;
  const auto source = nonce_source(false, s_.life, m.seq, m.acked, 0);
  return Ways::by_cookie(config_.ways, source, config_.stores, *m.option).has_value();
}

void Event::open_by_cookie(const Message& m) {
  if (s_.incarnations >= config_.incarnations) return;
  s_.agreed[s_.incarnations++] = m.seq;
  s_.number = s_.incarnations;
  s_.iss = m.acked;
  s_.irs = m.seq;
  s_.peer_offer = offer_of(m.seq);
  s_.state = State::kSynReceived;
  const auto source = nonce_source(false, s_.life, s_.irs, s_.iss, s_.number);
  if (m.option && m.option->ways > wire::kMinWays) {
    s_.ways = Ways::by_cookie(config_.ways, source, config_.stores, *m.option);
  } else {
    opened();
    s_.data_held = false;
  }
  write(true);
}

}  // namespace holdfast::model
