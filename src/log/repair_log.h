// Offline repair: every batch that some location has is written to the locations that lack it or hold a damaged copy,
// over the whole log (a start does so for the tail only, and within Options::copy_limit).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/error.h"
#include "location/location.h"
#include "log/reader.h"

namespace holdfast::log {

struct RepairReport {
  std::uint64_t copied = 0;        // bytes written, footers not counted
  std::vector<Finding> remaining;  // what no location has a good copy of, and locations that failed
};

// Locks the locations: the node must be stopped. Changes nothing but damaged or missing copies (and footers).
// `progress` (may be empty) gets bytes looked at and bytes in all. Takes as long as reading everything at all
// locations.
Result<RepairReport> repair_log(const std::vector<location::Location*>& locations, Duration lock_bound,
                                const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace holdfast::log
