// A location's asynchronous operations one at a time, for recovery: each call returns when it is done.
#pragma once

#include <functional>

#include "base/error.h"
#include "location/location.h"

namespace holdfast::log {

// As many operations as were begun, in whatever order they end; the first error.
Result<void> await_all(location::Location& location, std::size_t count);
// Each of them is shown; fails where not all of them end.
Result<void> await_each(location::Location& location, std::size_t count,
                        const std::function<void(location::Completion&)>& ended_one);

Result<void> write_now(location::Location& location, SegmentNumber segment, std::uint64_t offset, Bytes bytes);
Result<void> prepare_now(location::Location& location, SegmentNumber segment, std::uint64_t size);
Result<void> recycle_now(location::Location& location, SegmentNumber from, SegmentNumber to);
Result<void> remove_now(location::Location& location, SegmentNumber segment);

}  // namespace holdfast::log
