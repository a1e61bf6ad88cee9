// Both sides' behaviour as tables: which event leads where, and what leaves. Computed when first asked for, by running
// the production machine; each pair of side and segment once, however many states of the whole it occurs in.
#pragma once

#include <array>
#include <unordered_map>
#include <vector>

#include "model/event.h"
#include "model/interner.h"
#include "model/scenario.h"

namespace holdfast::model {

using SideId = std::uint32_t;
using MessageId = std::uint32_t;
using OutcomeId = std::uint32_t;

enum class EventKind : std::uint8_t {
  kOpen,
  kDeliver,
  kStrip,  // delivered without its option
  kWrite,
  kCopies,
  kLate,
  kTimeout,
  kSpeak,
  kAbort,
  kCheckpoint,
  kCrash,
};

struct Outcome {
  EventKind kind = EventKind::kOpen;
  bool at_initiator = false;
  std::uint8_t landed = 0;  // of a crash
  MessageId message = 0;    // that was delivered; of kStrip: as it was sent
  SideId before = 0, after = 0;
  std::array<MessageId, 3> sent{};
  std::uint8_t sent_count = 0;
  bool was_seldom = false, was_challenge = false;
  Property broken = Property::kNone;
};

class World {
 public:
  explicit World(const Scenario& scenario);

  const Scenario& scenario() const { return scenario_; }
  const SideConfig& config(SideId id) const { return scenario_.side(sides_[id].initiator); }
  const Side& side(SideId id) const { return sides_[id]; }
  const Message& message(MessageId id) const { return messages_[id]; }
  const Outcome& outcome(OutcomeId id) const { return outcomes_[id]; }
  std::size_t sides() const { return sides_.size(); }
  std::size_t messages() const { return messages_.size(); }
  SideId start(bool initiator) const { return start_[initiator]; }
  // The earlier connection's segments: in the channel from the beginning.
  const std::vector<MessageId>& old_messages() const { return old_; }

  // Everything that can happen at this side but for what is delivered to it, and what it may say without any change.
  const std::vector<OutcomeId>& local(SideId id);
  // What each segment known so far does to this side, if anything; by number of the segment that must have been sent.
  struct Delivery {
    MessageId sent;
    OutcomeId outcome;
  };
  struct Deliveries {
    std::vector<Delivery> changing;
    std::vector<Delivery> answered;  // the side stays as it is, and sends something
  };
  const Deliveries& deliveries(SideId id);
  // Of an established side. kNone: it can say nothing yet.
  static constexpr OutcomeId kNone = ~OutcomeId{0};
  // The same for one segment, where time is not arbitrary.
  OutcomeId deliver(SideId id, MessageId message, Pace pace);
  OutcomeId speak(SideId id);

  // Segments that the peer never sent, but could have been made of its sequence numbers: they must change nothing.
  // Gives the first that does.
  std::optional<Message> believes_forgery(SideId id) const;

 private:
  struct SideTables {
    bool has_local = false;
    std::vector<OutcomeId> local;
    std::uint32_t seen = 0;  // segments below this number are in `deliveries`
    Deliveries deliveries;
    OutcomeId speak = kNone;
    bool has_speak = false;
  };

  SideTables& tables(SideId id);
  MessageId add(Message m);
  OutcomeId add(Outcome outcome, Event& event);
  void make_old();
  wire::WaysOption old_option(std::uint8_t step) const;
  std::optional<Message> in_transit(const Message& m) const;
  std::optional<Message> believes_forged_cookie(SideId id) const;

  const Scenario scenario_;
  Interner<Message> messages_;
  Interner<Side> sides_;
  std::vector<Outcome> outcomes_;
  std::deque<SideTables> tables_;
  std::vector<MessageId> old_;
  std::unordered_map<std::uint64_t, OutcomeId> paced_;
  std::array<SideId, 2> start_{};
};

}  // namespace holdfast::model
