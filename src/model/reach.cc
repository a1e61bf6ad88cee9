#include "model/reach.h"

#include <algorithm>
#include <bit>

#include "model/hash.h"

namespace holdfast::model {

std::size_t hash_of(const State& s) {
  const Budget& b = s.budget;
  return Hash()
      .add(s.initiator)
      .add(s.responder)
      .add(s.sent)
      .add(b.crashes_of_initiator | b.crashes_of_responder << 4 | b.late << 8 | b.checkpoints << 12 | b.aborts << 16 |
           b.strips << 20 | b.crashes << 24)
      .value();
}

std::size_t hash_of(const MessageSet& set) {
  Hash hash;
  for (const std::uint64_t word : set.bits) hash.add(word);
  return hash.value();
}

Reach::Reach(World& world) : world_(world) {
  MessageSet set;
  for (const MessageId id : world.old_messages()) set.put(id);
  const Scenario& s = world.scenario();
  const Budget budget{
      s.crashes_of_initiator, s.crashes_of_responder, s.crashes, s.late, s.checkpoints, s.aborts, s.strips};
  start_ = {world.start(true), world.start(false), sets_.intern(set).id, budget};
  State filled = start_;
  fill(filled, nullptr);
  states_.intern(filled);
  parents_.push_back(kNowhere);
  causes_.push_back(0);
  depths_.push_back(0);
}

Reach::Violation Reach::run(std::size_t most, const Each& each, const std::function<bool()>& enough) {
  while (next_ < states_.size() && states_.size() < most && violation_.property == Property::kNone && !enough()) {
    if (!surpassed(next_)) expand(next_, each);
    ++next_;
  }
  return violation_;
}

void Reach::expand(StateId from, const Each& each) {
  const State s = states_[from];
  for (const SideId side : {s.initiator, s.responder}) {
    forge(side, from);
    for (const OutcomeId outcome : world_.local(side)) step(from, outcome, each);
    for (const World::Delivery& delivery : world_.deliveries(side).changing) {
      if (sets_[s.sent].has(delivery.sent)) step(from, delivery.outcome, each);
    }
    // What is sent again has no state of its own, but may be all that is on its way when the channel becomes fair.
    if (world_.scenario().memory == 0) {
      for (const World::Delivery& delivery : world_.deliveries(side).answered) {
        if (sets_[s.sent].has(delivery.sent)) each(from, delivery.outcome, s.initiator, s.responder);
      }
    }
    if (violation_.property != Property::kNone) return;
  }
}

bool Reach::afford(const Outcome& outcome, Budget& budget) const {
  const auto pay = [](std::uint8_t& from) { return from > 0 && from-- > 0; };
  switch (outcome.kind) {
    case EventKind::kCrash:
      return pay(budget.crashes) &&
             pay(outcome.at_initiator ? budget.crashes_of_initiator : budget.crashes_of_responder);
    case EventKind::kLate:
      return pay(budget.late);
    case EventKind::kCheckpoint:
      return pay(budget.checkpoints);
    case EventKind::kAbort:
      return pay(budget.aborts);
    case EventKind::kStrip:
      return pay(budget.strips);
    default:
      return true;
  }
}

void Reach::step(StateId from, OutcomeId id, const Each& each) {
  if (violation_.property != Property::kNone) return;
  const Outcome outcome = world_.outcome(id);
  State next = states_[from];
  if (!afford(outcome, next.budget)) return;
  ++transitions_;
  (outcome.at_initiator ? next.initiator : next.responder) = outcome.after;
  put(next.sent, outcome);
  auto& others = alike(next);
  const bool first = others.empty();
  const auto known = [&](const Known& other) { return allows_all_of(other, next); };
  bool is_new = std::none_of(others.begin(), others.end(), known);
  if (is_new) {
    fill(next, nullptr);
    is_new = std::none_of(others.begin(), others.end(), known);
  }
  if (is_new) {
    others.push_back({states_.intern(next).id, next.sent, next.budget});
    parents_.push_back(from);
    causes_.push_back(id);
    depths_.push_back(depths_[from] + 1);
    depth_ = std::max(depth_, depths_.back());
  }
  if (outcome.broken != Property::kNone) {
    violation_ = {outcome.broken, from, id, std::nullopt};
  } else if (const Property broken = first ? judge(next.initiator, next.responder) : Property::kNone;
             broken != Property::kNone) {
    violation_ = {broken, from, id, std::nullopt};
  } else if (first || world_.scenario().memory == 0) {
    each(from, id, next.initiator, next.responder);
  }
}

// What the segment that was sent last leaves too far behind.
void Reach::forget(MessageSet& set, const Message& last) const {
  const unsigned memory = world_.scenario().memory * 2U;
  if (memory == 0 || !last.option || last.option->step <= memory) return;
  for (std::size_t word = 0; word < set.bits.size(); ++word) {
    for (std::uint64_t left = set.bits[word]; left != 0; left &= left - 1) {
      const auto id = static_cast<MessageId>(word * 64 + static_cast<unsigned>(std::countr_zero(left)));
      const Message& m = world_.message(id);
      const bool behind = m.option && m.option->step > 2 && m.option->step + memory < last.option->step;
      if (behind && m.from_initiator == last.from_initiator && m.seq == last.seq) {
        set.take(id);
      }
    }
  }
}

bool Reach::put(std::uint32_t& sent, const Outcome& outcome) {
  bool news = false;
  for (std::uint8_t i = 0; i < outcome.sent_count; ++i) news |= !sets_[sent].has(outcome.sent[i]);
  if (!news) return false;
  MessageSet set = sets_[sent];
  for (std::uint8_t i = 0; i < outcome.sent_count; ++i) {
    set.put(outcome.sent[i]);
    forget(set, world_.message(outcome.sent[i]));
  }
  sent = sets_.intern(set).id;
  return true;
}

// Whatever is possible from b is possible from a, whose sides are the same.
bool Reach::allows_all_of(const Known& a, const State& b) const {
  const Budget& x = a.budget;
  const Budget& y = b.budget;
  const bool cheaper = x.crashes_of_initiator >= y.crashes_of_initiator &&
                       x.crashes_of_responder >= y.crashes_of_responder && x.crashes >= y.crashes && x.late >= y.late &&
                       x.checkpoints >= y.checkpoints && x.aborts >= y.aborts && x.strips >= y.strips;
  return cheaper && (a.sent == b.sent || sets_[a.sent].includes(sets_[b.sent]));
}

bool Reach::surpassed(StateId id) {
  const auto& others = alike(states_[id]);
  return std::any_of(others.begin(), others.end(),
                     [&](const Known& other) { return other.id != id && allows_all_of(other, states_[id]); });
}

std::vector<Reach::Known>& Reach::alike(const State& state) {
  const auto [number, is_new] = pairs_.number(state.initiator, state.responder);
  if (is_new) alike_.emplace_back();
  return alike_[number];
}

void Reach::fill(State& state, std::vector<OutcomeId>* how) {
  for (bool news = true; news;) {
    news = false;
    const auto consider = [&](OutcomeId id) {
      if (!put(state.sent, world_.outcome(id))) return;
      news = true;
      if (how != nullptr) how->push_back(id);
    };
    for (const SideId side : {state.initiator, state.responder}) {
      if (const OutcomeId spoken = world_.speak(side); spoken != World::kNone) consider(spoken);
      for (const World::Delivery& delivery : world_.deliveries(side).answered) {
        if (sets_[state.sent].has(delivery.sent)) consider(delivery.outcome);
      }
    }
  }
}

void Reach::forge(SideId side, StateId at) {
  if (forged_.size() <= side) forged_.resize(side + 1024);
  if (forged_[side]) return;
  forged_[side] = true;
  if (const auto forgery = world_.believes_forgery(side)) violation_ = {Property::kForgery, at, 0, forgery};
}

// Of the two sides as they are at the same time.
Property Reach::judge(SideId initiator, SideId responder) const {
  const Side& a = world_.side(initiator);
  const Side& b = world_.side(responder);
  const auto agreed = [this](const Side& side, std::uint32_t own, std::uint32_t peer) {
    for (std::uint8_t i = 0; i < side.incarnations; ++i) {
      if (world_.scenario().side(side.initiator).cookies) {
        if (side.agreed[i] == peer) return true;  // its own ISN is a function of that
        continue;
      }
      if (isn_of(side.initiator, i) == own) return side.agreed[i] == peer;
    }
    return false;
  };
  // Of a cookie's three ways the initiator is ESTABLISHED by the SYN-ACK, of which the other side keeps nothing.
  const bool by_cookie = world_.scenario().responder.cookies && a.settled == wire::kMinWays;
  if (a.established() && !by_cookie && !agreed(b, a.irs, a.iss)) return Property::kAsked;
  if (b.established() && !agreed(a, b.irs, b.iss)) return Property::kAsked;
  const Scenario& scenario = world_.scenario();
  if (a.established() && a.settled < scenario.initiator.ways.min) return Property::kAgreement;
  if (b.established() && b.settled < scenario.responder.ways.min) return Property::kAgreement;
  if (!a.established() || !b.established()) return Property::kNone;
  const bool agree = a.iss == b.irs && a.irs == b.iss && a.settled == b.settled && a.peer_offer == offer_of(b.iss) &&
                     b.peer_offer == offer_of(a.iss);
  return agree ? Property::kNone : Property::kAgreement;
}

std::vector<OutcomeId> Reach::path_to(StateId id) {
  std::vector<StateId> states;
  for (; id != kNowhere; id = parents_[id]) states.push_back(id);
  std::reverse(states.begin(), states.end());
  std::vector<OutcomeId> path;
  State at = start_;
  for (const StateId next : states) {
    if (parents_[next] != kNowhere) {
      const Outcome& outcome = world_.outcome(causes_[next]);
      path.push_back(causes_[next]);
      at = states_[parents_[next]];
      (outcome.at_initiator ? at.initiator : at.responder) = outcome.after;
      put(at.sent, outcome);
    }
    fill(at, &path);
  }
  return path;
}

}  // namespace holdfast::model
