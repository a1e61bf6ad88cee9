// Who may remove a TAP device. One that `send` made has to outlive a killed process, or the host's route to it would go
// and its connection with it; and nothing of it is to be left once all is delivered. The device itself says that it is
// one of those: by its alias.
#pragma once

#include <memory>

#include "base/error.h"
#include "link/tap.h"

namespace holdfast::node {

// A process that was killed lets go of its device a moment later: waits for that, not for long.
Result<std::unique_ptr<link::Tap>> attach(const link::TapOptions& options);

// It stays when this process ends.
Result<void> keep_for_good(link::Tap& tap);
// It stays until some process lets it go. One that exists for its own sake is left as it is, also by let_go().
Result<void> keep_until_done(link::Tap& tap);
Result<void> let_go(link::Tap& tap);

}  // namespace holdfast::node
