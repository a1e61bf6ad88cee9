// Reads every durable batch at every location and says which copies are damaged or missing.
#pragma once

#include "log/log_view.h"

namespace holdfast::log {

Result<std::vector<Finding>> scrub_log(LogView& view,
                                       const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace holdfast::log
