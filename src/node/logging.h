// The log for people: spdlog to standard error.
#pragma once

#include <string>

namespace holdfast::node {

// `level` is one of those that --log-level takes; `role` ("keeper", "node") is shown in each line.
void set_up_logging(const std::string& level, const std::string& role);

}  // namespace holdfast::node
