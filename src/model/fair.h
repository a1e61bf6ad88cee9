// How it can end once the channel is fair: nothing is lost any more and nobody crashes, segments arrive in any order,
// storage completes, and no time-out comes before all that. From every state that can be reached, every such run.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "model/world.h"

namespace holdfast::model {

using FairId = std::uint32_t;

// Both sides, and the segments on their way.
struct FairState {
  SideId initiator = 0, responder = 0;
  std::array<MessageId, 7> in_flight{};  // in ascending order
  std::uint8_t count = 0;
  // Since time last passed: has answered a very old segment, has sent a challenge ACK. And: has spoken up on its own.
  bool seldom_initiator = false, seldom_responder = false;
  bool challenged_initiator = false, challenged_responder = false;
  bool spoke_initiator = false, spoke_responder = false;
  friend bool operator==(const FairState&, const FairState&) = default;
};
std::size_t hash_of(const FairState& state);

class Fair {
 public:
  // `late`: roll calls may last too long.
  Fair(World& world, bool late) : world_(world), late_(late) {}

  // How the runs from a state end, as a set.
  enum : std::uint8_t {
    kEstablished = 1,  // both
    kByPolicy = 2,     // both CLOSED: too few copies, or no agreement on N
    kGivenUp = 4,      // both CLOSED, for want of answers
    kBadEnd = 8,       // neither
    kEndless = 16,
    kFlood = 32,       // more segments on their way than the model holds
    kHadToSpeak = 64,  // one side stayed ESTABLISHED until it said something, and learnt that the other is gone
  };

  FairState begin(SideId initiator, SideId responder, const Outcome* sent) const;
  std::uint8_t ends(const FairState& from);
  // A shortest run from there to an end of that kind.
  std::vector<OutcomeId> run_to(const FairState& from, std::uint8_t kind);

  std::size_t states() const { return states_.size(); }
  std::uint64_t transitions() const { return transitions_; }
  std::uint8_t settled() const { return settled_; }  // the N of the latest end with both ESTABLISHED

 private:
  struct Next {
    OutcomeId outcome;
    FairId state;
  };
  void successors(FairId from, std::vector<Next>& out);
  void apply(const FairState& from, OutcomeId outcome, std::vector<Next>& out, std::optional<std::uint8_t> delivered);
  std::uint8_t classify(const FairState& end);
  FairId number(const FairState& state);

  World& world_;
  const bool late_;
  bool flood_ = false;
  Interner<FairState> states_;
  std::vector<std::uint8_t> ends_;   // 0: not known yet
  std::vector<std::uint8_t> marks_;  // 1: on the path that is being followed
  std::uint64_t transitions_ = 0;
  std::uint8_t settled_ = 0;
};

}  // namespace holdfast::model
