#include "tcp/isn.h"

#include <array>

#include "base/endian.h"

namespace holdfast::tcp {
namespace {

// One secret serves several purposes: each has its own first byte.
std::uint64_t keyed(const Secret& secret, const wire::FourTuple& tuple, std::byte purpose) {
  std::array<std::byte, 13> input{};
  input[0] = purpose;
  store_be32(&input[1], tuple.local.address.value);
  store_be32(&input[5], tuple.peer.address.value);
  store_be16(&input[9], tuple.local.port.value);
  store_be16(&input[11], tuple.peer.port.value);
  return prf(secret, input);
}

}  // namespace

wire::SeqNum initial_sequence_number(const Secret& secret, const wire::FourTuple& tuple, std::uint64_t ticks_4us) {
  return wire::SeqNum{static_cast<std::uint32_t>(ticks_4us + keyed(secret, tuple, std::byte{'i'}))};
}

std::uint32_t timestamp_offset(const Secret& secret, const wire::FourTuple& tuple) {
  return static_cast<std::uint32_t>(keyed(secret, tuple, std::byte{'t'}));
}

std::uint64_t tuple_hash(const Secret& secret, const wire::FourTuple& tuple) {
  return keyed(secret, tuple, std::byte{'d'});
}

}  // namespace holdfast::tcp
