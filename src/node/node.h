// A node: one shard on a device, its storage locations, its services; until it is told to stop.
#pragma once

#include <functional>
#include <memory>

#include "base/error.h"
#include "link/tap.h"
#include "node/event_file.h"
#include "node/settings.h"

namespace holdfast::node {

// Recovers what is stored, serves, and returns after SIGTERM, SIGINT or SIGHUP without a word to any peer: connections
// go on at the next start. `ready` is called when the node has recovered and speaks, or stands by for one that does.
// True: another node of its service group has taken over. Errors are those of the start.
Result<bool> run_node(const ServeOptions& options, std::unique_ptr<link::Tap> tap, const EventFile& events,
                      const std::function<void()>& ready);

}  // namespace holdfast::node
