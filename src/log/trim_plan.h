// Which segments a wish to trim a log means, and what goes with them.
#pragma once

#include "log/log_view.h"

namespace holdfast::log {

Result<TrimPlan> plan_trim(LogView& view, const TrimWish& wish);

}  // namespace holdfast::log
