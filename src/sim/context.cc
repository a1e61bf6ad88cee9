#include "sim/context.h"

#include <cstdio>

#include "base/crc32c.h"
#include "sim/prng.h"

namespace holdfast::sim {

void Trace::fold(std::uint64_t value) { hash_ = mixed(hash_ ^ value); }

void Trace::fold(Bytes bytes) { fold((std::uint64_t{crc32c(0, bytes)} << 32) | (bytes.size() & 0xffffffffU)); }

void Trace::line(Time now, const std::string& text) {
  const double seconds = std::chrono::duration<double>(now.time_since_epoch()).count();
  fmt::print(stdout, "{:12.6f}  {}\n", seconds, text);
}

}  // namespace holdfast::sim
