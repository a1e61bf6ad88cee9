// Limits of the process (getrlimit(2)) that a node needs to be at ease with.
#pragma once

#include <cstddef>

#include "base/error.h"

namespace holdfast::node {

// Raises the limit of open files as far as this user may, so that no directory fails for want of a descriptor.
// kUnavailable where that is not enough for so many directories; the message says what to set.
Result<void> raise_descriptor_limit(std::size_t directories);

}  // namespace holdfast::node
