// `holdfast handover`: asks the node that serves a group to give its log to one that stands by, and waits for that.
#pragma once

#include "node/pool_flags.h"

namespace holdfast::node {

// Returns the exit status.
int handover(const HandoverCommand& command);

}  // namespace holdfast::node
