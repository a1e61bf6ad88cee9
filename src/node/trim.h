// `holdfast streams trim`: gives up the oldest segments of a log, its node running or not.
#pragma once

#include "node/command_line.h"

namespace holdfast::node {

// Returns the exit status.
int trim(const StreamsCommand& command);

}  // namespace holdfast::node
