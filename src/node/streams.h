// `holdfast streams list|show|cat|tail`: looks at directories that another process may be writing, and never disturbs
// it.
#pragma once

#include "node/command_line.h"

namespace holdfast::node {

// Returns the exit status.
int streams(const StreamsCommand& command);

}  // namespace holdfast::node
