// What must hold whatever the input: a fuzz target's assertion, in every build.
#pragma once

#define FUZZ_CHECK(expression) ((expression) ? static_cast<void>(0) : __builtin_trap())
