#include "base/prf.h"

#include <sodium/crypto_shorthash_siphash24.h>

#include "base/endian.h"

namespace holdfast {

static_assert(crypto_shorthash_siphash24_KEYBYTES == 16);
static_assert(crypto_shorthash_siphash24_BYTES == 8);

std::uint64_t prf(const Secret& secret, Bytes input) {
  std::array<std::byte, 8> out;
  crypto_shorthash_siphash24(reinterpret_cast<unsigned char*>(out.data()),
                             reinterpret_cast<const unsigned char*>(input.data()), input.size(),
                             reinterpret_cast<const unsigned char*>(secret.key.data()));
  return load_le<std::uint64_t>(out.data());
}

Secret derive(const Secret& secret, std::byte purpose) {
  Secret derived;
  for (std::size_t half = 0; half < 2; ++half) {
    const std::array<std::byte, 2> input{purpose, static_cast<std::byte>(half)};
    store_le(derived.key.data() + 8 * half, prf(secret, input));
  }
  return derived;
}

}  // namespace holdfast
