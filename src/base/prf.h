// Keyed pseudo-random function and MAC: SipHash-2-4 (libsodium's crypto_shorthash). Used for ISNs (RFC 6528),
// timestamp offsets, batch MACs.
#pragma once

#include <array>
#include <cstdint>

#include "base/units.h"

namespace holdfast {

// A 128-bit secret. Drawn once when a log is formatted and kept in it, so that every owner derives the same values.
struct Secret {
  std::array<std::byte, 16> key{};
  friend bool operator==(const Secret&, const Secret&) = default;
};

std::uint64_t prf(const Secret& secret, Bytes input);

}  // namespace holdfast
