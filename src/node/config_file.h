// A configuration file in TOML for `holdfast serve`: keys are the names of the settings (settings.h).
//
//   link = "tap:holdfast0"
//   address = "10.77.0.2/24"
//   data = ["/var/lib/holdfast/a", "/var/lib/holdfast/b"]
//   service = ["store:7000"]
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "node/settings.h"

namespace holdfast::node {

// Applies each key of `text` to `options`, except those in `overridden` (given as flags). Unknown keys, values of a
// wrong type and duplicates are kUsage errors that name `path`, line and key.
Result<void> apply_config(std::string_view text, const std::string& path, const std::set<std::string>& overridden,
                          ServeOptions& options);

}  // namespace holdfast::node
