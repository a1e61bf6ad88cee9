// Names of the seeded bugs (base/mutant.h) for the command line and for messages.
#pragma once

#include <optional>
#include <string_view>

#include "base/mutant.h"

namespace holdfast {

std::string_view to_string(Mutant mutant);
std::optional<Mutant> mutant_named(std::string_view name);

}  // namespace holdfast
