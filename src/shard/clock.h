// The monotonic clock, as the core wants it (base/units.h).
#pragma once

#include "base/units.h"

namespace holdfast::shard {

// Nanoseconds since the machine started, suspend not counted. Never goes back.
Time monotonic_now();

}  // namespace holdfast::shard
