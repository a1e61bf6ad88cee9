// A node of a service whose address is spread over buckets: reads the device and directs each frame to where its
// bucket is (cluster/director.h), keeps itself among the service's members (cluster/membership.h), and has a worker
// process for each bucket that is this node's to serve (bucket_worker.h, cluster/placement.h).
#pragma once

#include <functional>
#include <memory>

#include "base/error.h"
#include "link/tap.h"
#include "node/command_line.h"
#include "node/event_file.h"

namespace holdfast::node {

// Until it is told to stop: then its buckets are handed over, a few at a time. `ready`: it is a member.
Result<void> run_bucket_node(const ServeCommand& command, std::unique_ptr<link::Tap> tap, const EventFile& events,
                             const std::function<void()>& ready);

// How long that takes at most.
inline constexpr Duration kLongestLeave = std::chrono::seconds(45);

// A worker's part of the address, as run_bucket_node() has given it.
Result<BucketPart> inherited_part(const ServeCommand& command);

}  // namespace holdfast::node
