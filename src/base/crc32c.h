// CRC32C (Castagnoli, RFC 3720 appendix B.4), by ISA-L. `crc` is the running value: 0 to start with, and
// crc32c(crc32c(0, a), b) == crc32c(0, a followed by b).
#pragma once

#include <cstdint>

#include "base/units.h"

namespace holdfast {
std::uint32_t crc32c(std::uint32_t crc, Bytes bytes);
}
