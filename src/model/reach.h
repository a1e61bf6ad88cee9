// Every state of the whole that can be reached, breadth first, so that what is found is found on a shortest way.
//
// The channel never forgets: each segment that was ever sent may be delivered at any time, never, or often. That is all
// loss, all duplication and all reordering at once, without bounds. And more segments sent only allow more: so what a
// side can send without a change of its own state is sent at once, everywhere (`fill`), and states that differ only in
// whether it has been are one. Nor is a state explored that differs from another only in fewer segments sent or fewer
// faults left.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "model/pair_map.h"
#include "model/world.h"

namespace holdfast::model {

using StateId = std::uint32_t;
inline constexpr StateId kNowhere = ~StateId{0};

// How many of each fault are left.
struct Budget {
  std::uint8_t crashes_of_initiator = 0, crashes_of_responder = 0, crashes = 0, late = 0, checkpoints = 0, aborts = 0,
               strips = 0;
  friend bool operator==(const Budget&, const Budget&) = default;
};

struct State {
  SideId initiator = 0, responder = 0;
  std::uint32_t sent = 0;  // number of the set of segments that were sent
  Budget budget;
  friend bool operator==(const State&, const State&) = default;
};
std::size_t hash_of(const State& state);

// A set of segments.
struct MessageSet {
  std::vector<std::uint64_t> bits;
  std::uint32_t count = 0;
  bool has(MessageId id) const { return id / 64 < bits.size() && (bits[id / 64] >> id % 64 & 1) != 0; }
  void put(MessageId id) {
    if (bits.size() <= id / 64) bits.resize(id / 64 + 1);
    if (!has(id)) ++count;
    bits[id / 64] |= std::uint64_t{1} << id % 64;
  }
  void take(MessageId id) {
    if (!has(id)) return;
    --count;
    bits[id / 64] &= ~(std::uint64_t{1} << id % 64);
  }
  bool includes(const MessageSet& other) const {
    if (other.count > count) return false;
    for (std::size_t i = 0; i < other.bits.size(); ++i) {
      if ((other.bits[i] & ~(i < bits.size() ? bits[i] : 0)) != 0) return false;
    }
    return true;
  }
  friend bool operator==(const MessageSet&, const MessageSet&) = default;
};
std::size_t hash_of(const MessageSet& set);

class Reach {
 public:
  explicit Reach(World& world);

  struct Violation {
    Property property = Property::kNone;
    StateId state = kNowhere;  // before the last event
    OutcomeId outcome = 0;     // the last event; of a forgery: none
    std::optional<Message> forged;
  };
  // To the end, or to the first violation, or until there are `most` states. `each` is told of each transition to a
  // pair of sides that is new (where the channel remembers all: of each transition); `enough` ends it.
  using Each = std::function<void(StateId from, OutcomeId outcome, SideId initiator, SideId responder)>;
  Violation run(std::size_t most, const Each& each, const std::function<bool()>& enough);

  bool complete() const { return next_ == states_.size(); }
  std::size_t states() const { return states_.size(); }
  std::size_t pairs() const { return alike_.size(); }  // of sides, whatever was sent
  std::uint64_t transitions() const { return transitions_; }
  std::uint32_t depth() const { return depth_; }
  const State& state(StateId id) const { return states_[id]; }
  // The events that lead there.
  std::vector<OutcomeId> path_to(StateId id);

 private:
  // A state of a pair of sides that is known already.
  struct Known {
    StateId id;
    std::uint32_t sent;
    Budget budget;
  };
  bool allows_all_of(const Known& a, const State& b) const;
  bool surpassed(StateId id);
  std::vector<Known>& alike(const State& state);
  void fill(State& state, std::vector<OutcomeId>* how);
  void forget(MessageSet& set, const Message& last) const;
  bool put(std::uint32_t& sent, const Outcome& outcome);
  bool afford(const Outcome& outcome, Budget& budget) const;
  Property judge(SideId initiator, SideId responder) const;
  void step(StateId from, OutcomeId outcome, const Each& each);
  void expand(StateId from, const Each& each);
  void forge(SideId side, StateId at);

  World& world_;
  State start_;
  Interner<State> states_;
  Interner<MessageSet> sets_;
  std::vector<StateId> parents_;  // of state 0: kNowhere
  std::vector<OutcomeId> causes_;
  std::vector<std::uint32_t> depths_;
  PairMap pairs_;                          // of sides
  std::vector<std::vector<Known>> alike_;  // the states of each pair
  std::vector<bool> forged_;               // sides that were tried
  StateId next_ = 0;
  std::uint64_t transitions_ = 0;
  std::uint32_t depth_ = 0;
  Violation violation_;
};

}  // namespace holdfast::model
