// Small text files, read whole.
#pragma once

#include <string>

#include "base/error.h"

namespace holdfast::node {

inline constexpr std::size_t kMaxTextFile = 1U << 20;

// kUsage where it can't be read, or is larger than kMaxTextFile.
Result<std::string> read_text(const std::string& path);
// From the start of an open file; `name` is for messages.
Result<std::string> read_text(int fd, const std::string& name);

}  // namespace holdfast::node
