// A counterexample for people: both sides, and what passes between them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/world.h"

namespace holdfast::model {

// `fair_from`: how many events come before the channel is fair. `forged`: a segment that is injected at the end.
std::string ladder(const World& world, std::vector<OutcomeId> path, std::size_t fair_from,
                   const std::optional<Message>& forged);

}  // namespace holdfast::model
