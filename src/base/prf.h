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

// A secret for a purpose of its own, where there is but one. Who knows it knows nothing of the other.
Secret derive(const Secret& secret, std::byte purpose);

}  // namespace holdfast
