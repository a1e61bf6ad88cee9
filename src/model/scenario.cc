#include "model/scenario.h"

#include <set>
#include <utility>

namespace holdfast::model {
namespace {

// Up to here the channel forgets nothing, and everything is tried.
constexpr std::uint8_t kSmall = 7, kSmallInFull = 10;
// Two restarts: the number of states grows with the third power of N.
constexpr std::uint8_t kTwiceUpTo = 24;

class Collection {
 public:
  Collection(std::uint8_t ways, Depth depth)
      : ways_(ways), full_(depth == Depth::kFull), small_(ways <= (full_ ? kSmallInFull : kSmall)) {}

  std::vector<Scenario> take() {
    for_every_way();
    if (small_ || full_) with_more_faults();
    if (small_) without_limits();
    return std::move(all_);
  }

 private:
  // Both sides store, the initiator is strict (a caller's default), the responder is not (a service's). No fault yet
  // but for the channel's.
  Scenario& add(std::string name) {
    Scenario s;
    s.name = std::move(name);
    s.ways = ways_;
    s.initiator.initiator = true;
    s.initiator.ways.max = ways_;
    s.initiator.ways.strict = true;
    s.initiator.incarnations = 1;
    s.responder.ways.max = wire::kMaxWays;
    s.memory = small_ ? 0 : 1;
    return all_.emplace_back(std::move(s));
  }

  static void restarts(Scenario& s, std::uint8_t together) {
    s.crashes_of_initiator = s.crashes_of_responder = 1;
    s.crashes = together;
  }

  static void store(Scenario& s, bool initiator, bool responder) {
    s.initiator.stores = initiator;
    s.responder.stores = responder;
  }

  void for_every_way() {
    restarts(add("one restarts"), 1);
    auto& forgets = add("one restarts, nothing stored");
    store(forgets, false, false);
    restarts(forgets, 1);
    auto& late = add("a late roll call");
    late.initiator.ways.strict = false;
    late.responder.ways.strict = true;
    late.late = 1;
    with_cookies();
  }

  // Under a flood. What a restart of the responder forgets (README.md) is the limit of three and four ways, and of a
  // service that takes three.
  Scenario& add_cookies(std::string name) {
    Scenario& s = add(std::move(name));
    s.responder.cookies = true;
    s.responder.incarnations = 3;
    if (ways_ > 4) s.responder.ways.min = 4;
    return s;
  }

  void with_cookies() {
    const std::uint8_t responder = ways_ > 4 ? 1 : 0;
    auto& one = add_cookies("cookies, one restarts");
    one.crashes_of_initiator = one.crashes = 1;
    one.crashes_of_responder = responder;
    auto& nobody = add_cookies("cookies, nobody asks");
    nobody.asked = false;
    nobody.old = true;
    nobody.remembers = responder == 0;
    nobody.crashes_of_responder = responder;
    nobody.crashes = responder;
    auto& three = add_cookies("cookies, an option lost");
    three.responder.ways.min = wire::kMinWays;
    three.strips = 1;
    if (!small_) return;
    auto& old = add_cookies("cookies, old segments");
    old.old = true;
    old.remembers = responder == 0;
    auto& forgets = add_cookies("cookies, one restarts, nothing stored");
    store(forgets, false, false);
    restarts(forgets, 1);
    if (ways_ == wire::kMinWays) return;
    auto& less = add_cookies("cookies, the responder settles on less");
    less.responder.ways.max = static_cast<std::uint8_t>(ways_ - 1);
    less.responder.ways.min = wire::kMinWays;
    less.crashes_of_initiator = less.crashes = 1;
  }

  void with_more_faults() {
    if (small_ || ways_ <= kTwiceUpTo || ways_ == wire::kMaxWays) restarts(add("both restart"), 2);
    auto& mixed = add("one restarts, the initiator stores");
    store(mixed, true, false);
    restarts(mixed, 1);
    auto& other = add("one restarts, the responder stores");
    store(other, false, true);
    restarts(other, 1);
    auto& lenient = add("one restarts, late roll call, best effort");
    lenient.initiator.ways.strict = false;
    lenient.late = 1;
    restarts(lenient, 1);
    auto& old = add("old segments");
    old.old = true;
    add("abort").aborts = 1;
    add("an option lost").strips = 1;
    auto& lost = add("one restarts, an option lost");
    lost.strips = 1;
    restarts(lost, 1);
    add("middlebox after the SYNs").middlebox = Middlebox::kAfterSyn;
    add("middlebox").middlebox = Middlebox::kAlways;
    auto& nobody = add("nobody asks");
    nobody.asked = false;
    nobody.old = true;
    restarts(nobody, 2);
    if (ways_ > wire::kMinWays) fewer_ways();
  }

  // The two do not want the same.
  void fewer_ways() {
    for (const int most : std::set<int>{3, 4, ways_ - 1}) {
      if (most >= ways_) continue;
      auto& less = add("one restarts, the responder settles on " + std::to_string(most));
      less.responder.ways.max = static_cast<std::uint8_t>(most);
      restarts(less, 1);
    }
    auto& wants = add("one restarts, the initiator refuses less");
    wants.initiator.ways.min = ways_;
    wants.responder.ways.max = static_cast<std::uint8_t>(ways_ - 1);
    restarts(wants, 1);
    auto& hidden = add("middlebox, the initiator refuses less");
    hidden.initiator.ways.min = ways_;
    hidden.middlebox = Middlebox::kAlways;
    hidden.crashes = hidden.crashes_of_initiator = 1;
    if (ways_ == wire::kMaxWays) return;
    auto& more = add("one restarts, the responder refuses less");
    more.responder.ways.min = static_cast<std::uint8_t>(ways_ + 1);
    restarts(more, 1);
  }

  void without_limits() {
    auto& old = add("both restart, old segments");
    old.old = true;
    restarts(old, 2);
    auto& late = add("both restart, two late roll calls");
    late.initiator.ways.strict = false;
    late.responder.ways.strict = true;
    late.late = 2;
    restarts(late, 2);
    auto& both = add("one restarts, both strict");
    both.responder.ways.strict = true;
    both.late = 1;
    restarts(both, 1);
    auto& checkpoints = add("one restarts, a checkpoint");
    checkpoints.checkpoints = 1;
    restarts(checkpoints, 1);
    auto& again = add("both restart and the initiator opens again, nothing stored");
    store(again, false, false);
    again.initiator.incarnations = 2;
    restarts(again, 2);
    if (!full_) return;
    auto& most = add("both restart, old segments, checkpoint, late roll call");
    most.old = true;
    most.checkpoints = most.late = 1;
    restarts(most, 2);
  }

  const std::uint8_t ways_;
  const bool full_, small_;
  std::vector<Scenario> all_;
};

}  // namespace

std::vector<Scenario> scenarios(std::uint8_t ways, Depth depth) { return Collection(ways, depth).take(); }

}  // namespace holdfast::model
