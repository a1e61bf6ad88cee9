#include "tcp/nonce.h"

#include <array>

#include "base/endian.h"
#include "base/mutant.h"

namespace holdfast::tcp {

std::uint32_t NonceSource::nonce(const wire::WaysOption& option) const {
  std::array<std::byte, 32> input{};
  input[0] = std::byte{'n'};  // the secret serves other purposes too (isn.cc)
  store_be32(&input[1], tuple.local.address.value);
  store_be32(&input[5], tuple.peer.address.value);
  store_be16(&input[9], tuple.local.port.value);
  store_be16(&input[11], tuple.peer.port.value);
  if (!HF_MUTANT(kWaysNonceWithoutIsns)) {
    store_be32(&input[13], initiator_isn.value);
    store_be32(&input[17], option.step == 1 ? 0 : responder_isn.value);
  }
  input[21] = std::byte{option.ways};
  input[22] = std::byte{option.step};
  input[23] = std::byte{wire::ways_flags(option)};
  const bool is_fresh = option.step >= 4 && !HF_MUTANT(kWaysNonceRepeats);
  store_be64(&input[24], is_fresh ? connection : 0);
  return static_cast<std::uint32_t>(prf(secret, input));
}

}  // namespace holdfast::tcp
