#include "model/world.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace holdfast::model {

using tcp::Ways;

World::World(const Scenario& scenario) : scenario_(scenario) {
  Side initiator, responder;
  initiator.initiator = true;
  start_[1] = sides_.intern(initiator).id;
  if (scenario_.remembers) responder.used.back() = old_isn_of(true);
  start_[0] = sides_.intern(responder).id;
  if (scenario_.old) make_old();
}

World::SideTables& World::tables(SideId id) {
  while (tables_.size() <= id) tables_.emplace_back();
  return tables_[id];
}

MessageId World::add(Message m) {
  const bool strips =
      scenario_.middlebox == Middlebox::kAlways || (scenario_.middlebox == Middlebox::kAfterSyn && !m.syn);
  if (strips) m.option.reset();
  return messages_.intern(m).id;
}

OutcomeId World::add(Outcome outcome, Event& event) {
  outcome.at_initiator = sides_[outcome.before].initiator;
  outcome.after = sides_.intern(event.end()).id;
  outcome.broken = event.broken();
  outcome.was_seldom = event.was_seldom();
  outcome.was_challenge = event.was_challenge();
  HF_ASSERT(event.sent().size() <= outcome.sent.size());
  for (const Message& m : event.sent()) outcome.sent[outcome.sent_count++] = add(m);
  outcomes_.push_back(outcome);
  return static_cast<OutcomeId>(outcomes_.size() - 1);
}

// ---- What can happen ----

const std::vector<OutcomeId>& World::local(SideId id) {
  SideTables& t = tables(id);
  if (std::exchange(t.has_local, true)) return t.local;
  const SideConfig& config = this->config(id);
  const Side& s = sides_[id];
  const auto run = [&](EventKind kind, auto&& what, std::uint8_t landed = 0) {
    Outcome outcome;
    outcome.kind = kind;
    outcome.landed = landed;
    outcome.before = id;
    Event event(config, s);
    what(event);
    t.local.push_back(add(outcome, event));
  };
  if (scenario_.asked && Event::may_open(config, s)) run(EventKind::kOpen, [](Event& e) { e.open(); });
  if (s.writing > 0) run(EventKind::kWrite, [](Event& e) { e.write_completes(); });
  if (s.ways && s.ways->phase() == Ways::Phase::kCalling) {
    run(EventKind::kCopies, [](Event& e) { e.copies_arrive(); });
    run(EventKind::kLate, [](Event& e) { e.roll_call_over(); });
  }
  if (Event::timer_runs(s)) run(EventKind::kTimeout, [](Event& e) { e.timeout(); });
  if (scenario_.aborts > 0 && !s.closed()) run(EventKind::kAbort, [](Event& e) { e.abort(); });
  if (scenario_.checkpoints > 0 && config.stores && !s.closed() && s.writing + 2 < kMaxWrites) {
    run(EventKind::kCheckpoint, [](Event& e) { e.checkpoint(); });
  }
  const std::uint8_t crashes = s.initiator ? scenario_.crashes_of_initiator : scenario_.crashes_of_responder;
  const bool has_something = !s.closed() || s.writing > 0 || s.disk.live;
  if (crashes > 0 && has_something) {
    const std::uint8_t most = config.stores ? s.writing : std::uint8_t{0};
    for (std::uint8_t landed = 0; landed <= most; ++landed) {
      run(EventKind::kCrash, [&](Event& e) { e.crash(landed); }, landed);
    }
  }
  return t.local;
}

const World::Deliveries& World::deliveries(SideId id) {
  SideTables& t = tables(id);
  const bool initiator = sides_[id].initiator;
  // Answers are new segments in their turn, but go the other way.
  for (; t.seen < messages_.size(); ++t.seen) {
    const Message sent = messages_[t.seen];
    if (sent.from_initiator == initiator) continue;
    const bool may_strip = scenario_.strips > 0 && sent.option && !sent.rst;
    for (int stripped = 0; stripped <= (may_strip ? 1 : 0); ++stripped) {
      Message m = sent;
      if (stripped == 1) m.option.reset();
      const Side& before = sides_[id];
      Event event(config(id), before);
      event.arrives(m);
      if (event.end() == before && event.sent().empty() && event.broken() == Property::kNone) continue;  // most
      Outcome outcome;
      outcome.kind = stripped == 1 ? EventKind::kStrip : EventKind::kDeliver;
      outcome.message = t.seen;
      outcome.before = id;
      const OutcomeId result = add(outcome, event);
      const Outcome& o = outcomes_[result];
      const bool free = o.after == id && o.kind == EventKind::kDeliver && o.broken == Property::kNone;
      (free ? t.deliveries.answered : t.deliveries.changing).push_back({t.seen, result});
    }
  }
  return t.deliveries;
}

OutcomeId World::deliver(SideId id, MessageId message, Pace pace) {
  const unsigned bits = (pace.on_its_way ? 4U : 0U) | (pace.challenge ? 2U : 0U) | (pace.seldom ? 1U : 0U);
  const std::uint64_t key = (std::uint64_t{id} << 32 | message) << 3 | bits;
  if (const auto found = paced_.find(key); found != paced_.end()) return found->second;
  Event event(config(id), sides_[id], pace);
  event.arrives(messages_[message]);
  Outcome outcome;
  outcome.kind = EventKind::kDeliver;
  outcome.message = message;
  outcome.before = id;
  const OutcomeId result = add(outcome, event);
  paced_.emplace(key, result);
  return result;
}

OutcomeId World::speak(SideId id) {
  SideTables& t = tables(id);
  if (std::exchange(t.has_speak, true)) return t.speak;
  if (!sides_[id].established()) return kNone;
  Event event(config(id), sides_[id]);
  event.speak();
  Outcome outcome;
  outcome.kind = EventKind::kSpeak;
  outcome.before = id;
  const OutcomeId result = add(outcome, event);
  if (outcomes_[result].sent_count > 0) t.speak = result;
  return t.speak;
}

// ---- The earlier connection, and forgeries ----

// Step k of the earlier connection, as it was sent.
wire::WaysOption World::old_option(std::uint8_t step) const {
  const auto make = [&](std::uint8_t of) {
    const bool by_initiator = of % 2 == 1;
    wire::WaysOption o;
    o.ways = scenario_.ways;
    o.step = of;
    o.is_volatile = !scenario_.side(by_initiator).stores;
    o.copies = o.is_volatile ? std::uint8_t{0} : std::max<std::uint8_t>(1, tcp::copies_asked(of));
    o.nonce = nonce_source(by_initiator, 0, old_isn_of(true), old_isn_of(false), 0).nonce(o);
    return o;
  };
  wire::WaysOption option = make(step);
  if (step > 1) option.echo = make(static_cast<std::uint8_t>(step - 1)).nonce;
  return option;
}

void World::make_old() {
  const auto put = [&](Message m, bool from_initiator) {
    m.from_initiator = from_initiator;
    m.seq = old_isn_of(from_initiator);
    if (m.ack) m.acked = old_isn_of(!from_initiator);
    if (m.syn) m.offer = offer_of(m.seq);
    old_.push_back(messages_.intern(m).id);
  };
  for (std::uint8_t step = 1; step <= scenario_.ways; ++step) {
    Message m;
    m.syn = step <= 2;
    m.ack = step > 1;
    if (scenario_.ways > wire::kMinWays) m.option = old_option(step);
    m.existed = m.option ? m.option->copies : std::uint8_t{0};
    put(m, step % 2 == 1);
  }
  for (const bool from_initiator : {false, true}) {
    Message m;
    m.ack = true;
    put(m, from_initiator);
    m.data = true;
    put(m, from_initiator);
    m.data = false;
    m.rst = true;
    put(m, from_initiator);
  }
}

// Step 3 with the right sequence numbers, to a responder that keeps nothing. (It may be refused.)
std::optional<Message> World::believes_forged_cookie(SideId id) const {
  const Side& before = sides_[id];
  Message m;
  m.from_initiator = m.ack = true;
  m.seq = isn_of(true, 0);
  m.acked = cookie_isn_of(m.seq, before.life);
  for (std::uint8_t ways = wire::kMinWays; ways <= scenario_.ways; ++ways) {
    m.option = old_option(3);
    m.option->ways = ways;
    Event event(config(id), before);
    event.arrives(m);
    if (event.end() != before) return m;
  }
  return std::nullopt;
}

std::optional<Message> World::believes_forgery(SideId id) const {
  const Side& before = sides_[id];
  const bool initiator = before.initiator;
  if (before.closed() && config(id).cookies) return believes_forged_cookie(id);
  if (!before.ways) return std::nullopt;
  const Ways& ways = *before.ways;
  if (before.state == tcp::State::kSynSent ? before.syn_tries == 0 : !ways.confirming() && !ways.proving()) {
    return std::nullopt;
  }
  Message m;
  m.from_initiator = !initiator;
  m.ack = true;
  m.syn = before.state == tcp::State::kSynSent;
  m.seq = m.syn ? isn_of(!initiator, 0) : before.irs;
  m.acked = before.iss;
  const auto first = static_cast<std::uint8_t>(m.syn || initiator ? 2 : 3);
  const std::uint8_t last = m.syn ? std::uint8_t{2} : ways.ways();
  for (std::uint8_t step = first; step <= last; step = static_cast<std::uint8_t>(step + 2)) {
    wire::WaysOption invented;
    invented.ways = ways.ways();
    invented.step = step;
    invented.copies = 0xff;
    invented.nonce = 0x600df00d;
    invented.echo = 0xbadecc0;
    wire::WaysOption replayed = old_option(step);
    if (before.irs == old_isn_of(!initiator)) replayed = invented;  // there it is no forgery
    for (const wire::WaysOption& option : {invented, replayed}) {
      m.option = option;
      m.existed = option.copies;
      Event event(config(id), before);
      event.arrives(m);
      if (event.end() != before || !event.sent().empty()) return m;
    }
  }
  return std::nullopt;
}

}  // namespace holdfast::model
