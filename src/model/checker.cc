#include "model/checker.h"

#include <algorithm>
#include <ctime>

#include "model/ladder.h"
#include "model/pair_map.h"

namespace holdfast::model {
namespace {

// Of this thread: what a run costs, however busy the machine is.
double cpu_seconds() {
  timespec at{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
  return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) / 1e9;
}

// Neither has given up or is about to, and they are in the same connection, or on their way to it.
bool may_survive(const World& world, SideId initiator, SideId responder) {
  const Scenario& scenario = world.scenario();
  if (scenario.middlebox != Middlebox::kNone || scenario.strips > 0) return false;
  const Side& a = world.side(initiator);
  const Side& b = world.side(responder);
  const auto has_tries = [&](const Side& side) {
    const std::uint8_t retries = scenario.side(side.initiator).retries;
    if (side.ways && (side.ways->confirming() || side.ways->proving())) return side.ways->tries() <= retries;
    return side.established() || side.syn_tries <= retries;
  };
  if (a.closed() || !has_tries(a) || !has_tries(b)) return false;
  if (b.closed()) {
    if (scenario.responder.cookies && b.incarnations > 0) return false;  // it may have used the cookie
    return a.state == tcp::State::kSynSent && b.writing == 0 && b.incarnations < scenario.responder.incarnations;
  }
  const bool same = a.iss == b.irs && a.irs == b.iss;
  // Another connection with the same cookie: the initiator may be past the other's step 4.
  if (scenario.responder.cookies && b.number > 1) return false;
  const bool answered = a.state == tcp::State::kSynSent && b.state == tcp::State::kSynReceived && a.iss == b.irs;
  return same || answered;
}

class Checker {
 public:
  Checker(const Scenario& scenario, const Limits& limits)
      : limits_(limits), world_(scenario), reach_(world_), fair_(world_, true), punctual_(world_, false) {}

  Verdict run() {
    const double begun = cpu_seconds();
    nominal();
    if (verdict_.broken == Property::kNone) explore();
    verdict_.states = reach_.states();
    verdict_.pairs = reach_.pairs();
    verdict_.transitions = reach_.transitions();
    verdict_.depth = reach_.depth();
    verdict_.complete = reach_.complete();
    verdict_.sides = world_.sides();
    verdict_.messages = world_.messages();
    verdict_.fair_states = fair_.states();
    verdict_.fair_transitions = fair_.transitions();
    verdict_.seconds = cpu_seconds() - begun;
    return verdict_;
  }

 private:
  // Without a fault, and with copies in time: does it come about at all?
  void nominal() {
    const Scenario& s = world_.scenario();
    if (!s.asked) return;
    OutcomeId open = 0;
    for (const OutcomeId id : world_.local(world_.start(true))) {
      if (world_.outcome(id).kind == EventKind::kOpen) open = id;
    }
    const FairState begin = punctual_.begin(world_.outcome(open).after, world_.start(false), nullptr);
    const std::uint8_t ends = punctual_.ends(begin);
    const std::uint8_t least = std::max(s.initiator.ways.min, s.responder.ways.min);
    const bool hidden = s.middlebox == Middlebox::kAlways;
    const std::uint8_t wanted = hidden ? wire::kMinWays : std::min(s.ways, s.responder.ways.max);
    std::uint8_t expected = wanted >= least ? Fair::kEstablished : Fair::kByPolicy;
    // Nothing tells the two that the option is taken away from what follows the SYNs: see docs/handshake.md, rule 12.
    if (s.middlebox == Middlebox::kAfterSyn && wanted > wire::kMinWays) expected = Fair::kGivenUp;
    if (ends == expected && (ends != Fair::kEstablished || punctual_.settled() == wanted)) return;
    verdict_.broken = Property::kNominal;
    std::vector<OutcomeId> path{open};
    const auto rest = punctual_.run_to(begin, static_cast<std::uint8_t>(ends & ~expected));
    path.insert(path.end(), rest.begin(), rest.end());
    verdict_.ladder = ladder(world_, path, 1, std::nullopt);
  }

  void explore() {
    struct Bad {
      StateId from = kNowhere;
      OutcomeId outcome = 0;
      FairState begin;
      std::uint8_t kind = 0;
    } bad;
    const Reach::Violation violation = reach_.run(
        limits_.states,
        [&](StateId from, OutcomeId id, SideId initiator, SideId responder) {
          if (bad.from != kNowhere) return;
          const Outcome outcome = world_.outcome(id);
          const SideId other = outcome.at_initiator ? responder : initiator;
          if (!seen_.number(id, other).second) return;
          // All that was sent before is lost; and what this event sends, or (where the channel remembers all) not.
          for (const Outcome* sent : {static_cast<const Outcome*>(nullptr), &outcome}) {
            if (sent != nullptr && (sent->sent_count == 0 || world_.scenario().memory > 0)) continue;
            const FairState begin = fair_.begin(initiator, responder, sent);
            const std::uint8_t ends = fair_.ends(begin);
            if ((ends & Fair::kHadToSpeak) != 0 && sent == nullptr) ++verdict_.had_to_speak;
            const std::uint8_t never = Fair::kBadEnd | Fair::kEndless | Fair::kFlood;
            const bool survives = may_survive(world_, initiator, responder);
            const auto kind = static_cast<std::uint8_t>(ends & (never | (survives ? Fair::kGivenUp : 0)));
            if (kind == 0) continue;
            bad = {from, id, begin, kind};
            return;
          }
        },
        [&] { return bad.from != kNowhere; });
    if (bad.from != kNowhere) {
      verdict_.broken = (bad.kind & Fair::kBadEnd) != 0                     ? Property::kEnds
                        : (bad.kind & (Fair::kEndless | Fair::kFlood)) != 0 ? Property::kNoLivelock
                                                                            : Property::kSurvives;
      std::vector<OutcomeId> path = reach_.path_to(bad.from);
      path.push_back(bad.outcome);
      const std::size_t fair_from = path.size();
      const auto rest = fair_.run_to(bad.begin, bad.kind);
      path.insert(path.end(), rest.begin(), rest.end());
      verdict_.ladder = ladder(world_, path, fair_from, std::nullopt);
    } else if (violation.property != Property::kNone) {
      verdict_.broken = violation.property;
      std::vector<OutcomeId> path = reach_.path_to(violation.state);
      if (!violation.forged) path.push_back(violation.outcome);
      verdict_.ladder = ladder(world_, path, path.size(), violation.forged);
    }
  }

  const Limits limits_;
  World world_;
  Reach reach_;
  Fair fair_, punctual_;
  PairMap seen_;  // events, and the other side meanwhile
  Verdict verdict_;
};

}  // namespace

Verdict check(const Scenario& scenario, const Limits& limits) { return Checker(scenario, limits).run(); }

}  // namespace holdfast::model
