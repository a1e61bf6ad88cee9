// Invariants that stay on in release builds: a broken one ends the process, because going on could acknowledge what
// is not stored. The restarted node recovers from the log.
#pragma once

namespace holdfast {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

#define HF_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::holdfast::assertion_failed(#expression, __FILE__, __LINE__))
