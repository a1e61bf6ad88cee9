// `holdfast buckets`: the nodes of a service whose address is spread over buckets, and which has which.
#pragma once

#include "node/pool_flags.h"

namespace holdfast::node {

int bucket_status(const BucketsCommand& command);

}  // namespace holdfast::node
