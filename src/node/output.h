// Standard output and standard error, and how a command ends.
#pragma once

#include <string_view>

#include "base/error.h"
#include "base/units.h"

namespace holdfast::node {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitHandedOver = 3;  // of a service group's node: another one serves now

// Writes all of it to a descriptor. false: the reader is gone (EPIPE), which is nobody's error.
Result<bool> write_all(int fd, Bytes bytes);
Result<bool> write_all(int fd, std::string_view text);

// "holdfast: MESSAGE" on standard error, one line; returns the exit status.
int report(const Error& error);

}  // namespace holdfast::node
