// `holdfast store status`: what an operator should know about the pools that logs are in.
#pragma once

#include "node/pool_flags.h"

namespace holdfast::node {

// Returns the exit status: 1 also where a pool can be seen and would not do (one copy; a minimum of one).
int store_status(const StoreCommand& command);

}  // namespace holdfast::node
