#include "model/fair.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>

#include "model/hash.h"

namespace holdfast::model {

std::size_t hash_of(const FairState& s) {
  Hash hash;
  hash.add(s.initiator)
      .add(s.responder)
      .add(s.count | s.seldom_initiator << 4 | s.seldom_responder << 5 | s.spoke_initiator << 6 |
           s.spoke_responder << 7 | s.challenged_initiator << 8 | s.challenged_responder << 9);
  for (std::uint8_t i = 0; i < s.count; ++i) hash.add(s.in_flight[i]);
  return hash.value();
}

FairState Fair::begin(SideId initiator, SideId responder, const Outcome* sent) const {
  FairState s;
  s.initiator = initiator;
  s.responder = responder;
  if (sent != nullptr) {
    for (std::uint8_t i = 0; i < sent->sent_count; ++i) s.in_flight[s.count++] = sent->sent[i];
    std::sort(s.in_flight.begin(), s.in_flight.begin() + s.count);
  }
  return s;
}

FairId Fair::number(const FairState& state) {
  const auto [id, is_new] = states_.intern(state);
  if (is_new) {
    ends_.push_back(0);
    marks_.push_back(0);
  }
  return id;
}

void Fair::apply(const FairState& from, OutcomeId id, std::vector<Next>& out, std::optional<std::uint8_t> delivered) {
  const Outcome& outcome = world_.outcome(id);
  FairState next = from;
  (outcome.at_initiator ? next.initiator : next.responder) = outcome.after;
  if (outcome.was_seldom) (outcome.at_initiator ? next.seldom_initiator : next.seldom_responder) = true;
  if (outcome.was_challenge) (outcome.at_initiator ? next.challenged_initiator : next.challenged_responder) = true;
  if (delivered) {
    std::copy(next.in_flight.begin() + *delivered + 1, next.in_flight.end(), next.in_flight.begin() + *delivered);
    next.in_flight[--next.count] = 0;
  }
  for (std::uint8_t i = 0; i < outcome.sent_count; ++i) {
    if (next.count == next.in_flight.size()) {
      flood_ = true;
      return;
    }
    next.in_flight[next.count++] = outcome.sent[i];
  }
  std::sort(next.in_flight.begin(), next.in_flight.begin() + next.count);
  ++transitions_;
  out.push_back({id, number(next)});
}

void Fair::successors(FairId from, std::vector<Next>& out) {
  out.clear();
  const FairState s = states_[from];
  // Segments, in any order, or nearly.
  const unsigned memory = world_.scenario().memory * 2U;
  for (std::uint8_t i = 0; i < s.count; ++i) {
    if (i > 0 && s.in_flight[i] == s.in_flight[i - 1U]) continue;
    const Message& m = world_.message(s.in_flight[i]);
    const bool overtakes =
        memory > 0 && m.option && std::any_of(s.in_flight.begin(), s.in_flight.begin() + s.count, [&](MessageId id) {
          const Message& other = world_.message(id);
          return other.from_initiator == m.from_initiator && other.option &&
                 other.option->step + memory < m.option->step;
        });
    if (overtakes) continue;
    const SideId to = m.from_initiator ? s.responder : s.initiator;
    const Side& side = world_.side(to);
    Pace pace;
    pace.seldom = !(m.from_initiator ? s.seldom_responder : s.seldom_initiator);
    pace.challenge = !(m.from_initiator ? s.challenged_responder : s.challenged_initiator);
    if (side.ways) {
      for (std::uint8_t j = 0; j < s.count; ++j) {
        const Message& other = world_.message(s.in_flight[j]);
        if (other.from_initiator == side.initiator && other.option && other.option->step == side.ways->sent()) {
          pace.on_its_way = true;
        }
      }
    }
    apply(s, world_.deliver(to, s.in_flight[i], pace), out, i);
  }
  // Storage, and copies or none.
  for (const SideId side : {s.initiator, s.responder}) {
    for (const OutcomeId id : world_.local(side)) {
      const EventKind kind = world_.outcome(id).kind;
      if (kind == EventKind::kWrite || kind == EventKind::kCopies || (kind == EventKind::kLate && late_)) {
        apply(s, id, out, std::nullopt);
      }
    }
  }
  if (!out.empty() || flood_) return;
  // Only then does time pass.
  FairState later = s;
  later.seldom_initiator = later.seldom_responder = later.challenged_initiator = later.challenged_responder = false;
  for (const SideId side : {s.initiator, s.responder}) {
    for (const OutcomeId id : world_.local(side)) {
      if (world_.outcome(id).kind == EventKind::kTimeout) apply(later, id, out, std::nullopt);
    }
  }
  if (!out.empty()) return;
  // Somebody who is alone without knowing finds out when he says something.
  const Side& a = world_.side(s.initiator);
  const Side& b = world_.side(s.responder);
  if (a.established() == b.established()) return;
  bool& spoke = a.established() ? later.spoke_initiator : later.spoke_responder;
  const OutcomeId spoken = world_.speak(a.established() ? s.initiator : s.responder);
  if (!std::exchange(spoke, true) && spoken != World::kNone) apply(later, spoken, out, std::nullopt);
}

std::uint8_t Fair::classify(const FairState& end) {
  const Side& a = world_.side(end.initiator);
  const Side& b = world_.side(end.responder);
  const std::uint8_t spoke = end.spoke_initiator || end.spoke_responder ? std::uint8_t{kHadToSpeak} : std::uint8_t{0};
  if (a.established() && b.established() && !a.proving() && !b.proving() && a.record_stored && b.record_stored) {
    settled_ = a.settled;
    return kEstablished | spoke;
  }
  if (!a.closed() || !b.closed()) return kBadEnd;
  return (a.by_policy || b.by_policy ? kByPolicy : kGivenUp) | spoke;
}

// Depth first; a state met again on the path that is being followed is a run without end.
std::uint8_t Fair::ends(const FairState& from) {
  struct Frame {
    FairId id;
    std::vector<Next> next;
    std::size_t at = 0;
    std::uint8_t ends = 0;
  };
  const FairId root = number(from);
  if (ends_[root] != 0) return ends_[root];
  std::vector<Frame> path;
  const auto enter = [&](FairId id) {
    path.push_back({id, {}, 0, 0});
    marks_[id] = 1;
    flood_ = false;
    successors(id, path.back().next);
    if (std::exchange(flood_, false)) path.back().ends |= kFlood;
    if (path.back().next.empty() && path.back().ends == 0) path.back().ends = classify(states_[id]);
  };
  enter(root);
  for (;;) {
    Frame& top = path.back();
    if (top.at < top.next.size()) {
      const FairId next = top.next[top.at++].state;
      if (marks_[next] == 1) {
        top.ends |= kEndless;
      } else if (ends_[next] != 0) {
        top.ends |= ends_[next];
      } else {
        enter(next);
      }
      continue;
    }
    const std::uint8_t result = top.ends;
    ends_[top.id] = result;
    marks_[top.id] = 0;
    path.pop_back();
    if (path.empty()) return result;
    path.back().ends |= result;
  }
}

std::vector<OutcomeId> Fair::run_to(const FairState& from, std::uint8_t kind) {
  std::deque<FairId> queue{number(from)};
  std::unordered_map<FairId, std::pair<FairId, OutcomeId>> parents{{queue.front(), {queue.front(), 0}}};
  std::vector<Next> next;
  FairId at = queue.front();
  const auto path_to = [&](FairId id, std::vector<OutcomeId> last) {
    std::vector<OutcomeId> path = std::move(last);
    while (parents[id].first != id) {
      path.push_back(parents[id].second);
      id = parents[id].first;
    }
    std::reverse(path.begin(), path.end());
    return path;
  };
  while (!queue.empty()) {
    at = queue.front();
    queue.pop_front();
    successors(at, next);
    const bool floods = std::exchange(flood_, false);
    if (floods && (kind & kFlood) != 0) return path_to(at, {});
    if (next.empty() && (classify(states_[at]) & kind) != 0) return path_to(at, {});
    for (const Next& n : next) {
      if (parents.contains(n.state)) {
        // Back to a state on the way here: a circle.
        if ((kind & kEndless) != 0) {
          for (FairId id = at;; id = parents[id].first) {
            if (id == n.state) return path_to(at, {n.outcome});
            if (parents[id].first == id) break;
          }
        }
        continue;
      }
      if (ends(states_[n.state]) == 0 || (ends(states_[n.state]) & kind) == 0) continue;
      parents[n.state] = {at, n.outcome};
      queue.push_back(n.state);
    }
  }
  return path_to(at, {});
}

}  // namespace holdfast::model
