// One scenario: every state that can be reached, and every way in which it can end from there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/fair.h"
#include "model/reach.h"
#include "model/scenario.h"

namespace holdfast::model {

struct Verdict {
  Property broken = Property::kNone;
  bool complete = false;  // false without a broken property: more states than allowed
  std::size_t states = 0, pairs = 0, sides = 0, messages = 0, fair_states = 0;
  std::uint64_t transitions = 0, fair_transitions = 0;
  std::uint32_t depth = 0;
  std::uint64_t had_to_speak = 0;  // from so many states a run ends only because somebody who is alone speaks up
  double seconds = 0;
  std::string ladder;  // the counterexample
  bool ok() const { return broken == Property::kNone && complete; }
};

struct Limits {
  std::size_t states = 20'000'000;
};

Verdict check(const Scenario& scenario, const Limits& limits);

}  // namespace holdfast::model
