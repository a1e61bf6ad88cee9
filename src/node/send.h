// `holdfast send`: an active connection of our own stack.
#pragma once

#include "node/command_line.h"

namespace holdfast::node {

// Returns the exit status: 0 only when the peer has acknowledged everything that was sent, our FIN included.
int send(const SendCommand& command);

}  // namespace holdfast::node
