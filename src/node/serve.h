// `holdfast serve`: opens the device, then keeps a node, or is it.
#pragma once

#include "node/command_line.h"

namespace holdfast::node {

// Returns the exit status.
int serve(const ServeCommand& command);

}  // namespace holdfast::node
