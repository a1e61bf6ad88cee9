// SYN cookies: the answer to a SYN beyond the bound of half-open connections, and what becomes of its ACK.
#include "stack/cookies.h"

#include <algorithm>

#include "base/mutant.h"
#include "stack/engine_impl.h"
#include "tcp/cookie.h"

namespace holdfast::stack {

namespace {

std::uint64_t ticks_before(std::uint64_t tick, std::uint64_t count) { return tick - std::min(tick, count); }

}  // namespace

// ---- Cookies ----

// A cookie is good in its tick and the next one, and the clock has begun up to a ceiling's distance ahead of where the
// predecessor's was: in one tick more, perhaps.
void Cookies::recovered(std::uint64_t clock, Time now) {
  oldest_inherited_ = ticks_before(tcp::cookie_tick(clock), 2);
  inherited_until_ = now + tcp::kCookieLifetime;
}

Cookies::Ticks Cookies::acceptable(std::uint64_t clock, Time now) const {
  Ticks all;
  const bool inherited = now < inherited_until_;
  if (now >= sent_until_ && !inherited) return all;
  const std::uint64_t tick = tcp::cookie_tick(clock);
  std::uint64_t oldest = ticks_before(tick, 1);
  if (inherited) oldest = std::min(oldest, std::max(oldest_inherited_, ticks_before(tick, all.ticks.size() - 1)));
  for (std::uint64_t each = oldest; each <= tick; ++each) all.ticks[all.count++] = each;
  return all;
}

void Cookies::closed(const wire::FourTuple& tuple, wire::SeqNum irs, wire::SeqNum iss) {
  used_[next_++ % kRemembered] = {tuple, irs, iss};
}

bool Cookies::is_used(const wire::FourTuple& tuple, wire::SeqNum irs, wire::SeqNum iss) const {
  return std::ranges::find(used_, Used{tuple, irs, iss}) != used_.end() && !HF_MUTANT(kCookieUsedTwice);
}

// ---- The engine ----

const Secret& Engine::Impl::cookie_secret() const {
  const log::Log* log = this->log();
  return log != nullptr && !HF_MUTANT(kCookieKeyForgotten) ? log->secrets().cookie : random.volatile_cookie;
}

tcp::NonceSource Engine::Impl::nonce_source(const wire::FourTuple& tuple, wire::SeqNum irs, wire::SeqNum iss) const {
  return {gate.nonce_secret(), tuple, irs, iss};
}

// It asserts nothing that is stored, promises nothing, and nothing is kept of it: it may leave at once.
void Engine::Impl::send_cookie(const Listening& at, const wire::FourTuple& tuple, const tcp::SegmentIn& syn, Time now) {
  // No cookie for what could not be accepted; nor before our epoch's start is stored.
  if (!started || demux.size() >= config.max_connections) {
    ++counters.backlog_full;
    return;
  }
  tcp::SegmentOut answer;
  answer.header =
      tcp::cookie_syn_ack(cookie_secret(), tcp_config_for(tuple.peer.address, now), tuple, syn.header,
                          tcp::cookie_tick(shown_clock()), gate.timestamp_clock() + timestamp_offset(tuple));
  if (const auto proposal = tcp::ways_proposal(syn.header)) {
    const tcp::NonceSource source = nonce_source(tuple, syn.header.seq, answer.header.seq);
    answer.header.options.ways = tcp::Ways::answer(at.service.ways, source, gate.stores(), *proposal).option(0);
  }
  cookies.sent(now);
  ++counters.syn_cookies_sent;
  send_segment(tuple, answer);
}

std::optional<tcp::Cookie> Engine::Impl::cookie_in(const Listening& at, const wire::FourTuple& tuple,
                                                   const tcp::SegmentIn& segment, const Cookies::Ticks& ticks) const {
  const wire::TcpFlags& flags = segment.header.flags;
  if (!flags.ack || flags.syn || flags.rst || ticks.count == 0) return std::nullopt;
  const auto cookie =
      tcp::verify_cookie(cookie_secret(), tcp_config_for(tuple.peer.address, gate.now()), tuple, segment, ticks);
  if (!cookie || cookies.is_used(tuple, cookie->syn.seq, cookie->iss)) return std::nullopt;
  // The answer to a step 2 proves itself once more, by its echo. Without the option it is an ordinary handshake's, or
  // the option was taken off on the way: three ways, if they are enough.
  const auto& third = segment.header.options.ways;
  if (!third) return at.service.ways.min == wire::kMinWays ? cookie : std::nullopt;
  const tcp::NonceSource source = nonce_source(tuple, cookie->syn.seq, cookie->iss);
  return tcp::Ways::by_cookie(at.service.ways, source, gate.stores(), *third) ? cookie : std::nullopt;
}

// An ACK for a port that listens, and no connection. False: it is to be refused.
bool Engine::Impl::take_cookie(Listening& at, const wire::FourTuple& tuple, const tcp::SegmentIn& segment, Time now) {
  const Cookies::Ticks ticks = cookies.acceptable(shown_clock(), now);
  const auto cookie = cookie_in(at, tuple, segment, ticks);
  if (!cookie) {
    if (ticks.count > 0) ++counters.syn_cookies_rejected;
    return false;
  }
  // Where there is no room its peer tries again.
  if (demux.size() >= config.max_connections) {
    ++counters.backlog_full;
    return true;
  }
  const tcp::Config tcp = tcp_config_for(at, tuple.peer.address, now);
  auto connection = tcp::Connection::accept_cookie(gate, tcp, gate.next_id(), tuple, cookie->syn, cookie->iss, segment,
                                                   timestamp_offset(tuple), now);
  gate::Entry* entry = gate.add(std::move(connection), at.service.kind, nullptr, now);
  if (entry == nullptr) {
    ++counters.backlog_full;
    return true;
  }
  entry->by_cookie = true;
  ++counters.syn_cookies_accepted;
  ++counters.opened;
  demux.insert(tuple, entry->connection.get());
  entry->connection->on_segment(segment, now);
  gate.reschedule(*entry);
  return true;
}

// The peer holds the cookie that answered its SYN while there was no place; a duplicate of the SYN, or one that
// somebody else made up, has found a place since. What counts is what the peer has.
bool Engine::Impl::is_overtaken(const Listening& at, const tcp::Connection& connection, const tcp::SegmentIn& segment,
                                Time now) const {
  if (connection.state() != tcp::State::kSynReceived) return false;
  const tcp::Snapshot snapshot = connection.snapshot();
  if (snapshot.active_open || segment.header.ack == snapshot.iss + 1) return false;
  if (snapshot.ways.received > 1) return false;  // its peer has answered: the cookie is an old one
  return cookie_in(at, connection.tuple(), segment, cookies.acceptable(shown_clock(), now)).has_value();
}

}  // namespace holdfast::stack
