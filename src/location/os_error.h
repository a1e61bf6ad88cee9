// What the operating system said, as an Error: one line with the path, what failed and what to do about it.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace holdfast::location {

// "PATH: cannot WHAT: TEXT: HINT". `error` is an errno value (positive).
Error os_error(std::string_view path, std::string_view what, int error);

inline std::unexpected<Error> os_fail(std::string_view path, std::string_view what, int error) {
  return std::unexpected(os_error(path, what, error));
}

}  // namespace holdfast::location
