// Between 32-bit sequence numbers on the wire and 64-bit positions inside. Inside, a direction of the stream is counted
// from its first data byte; its FIN takes the one position behind the last byte. So position p is sequence number ISN +
// 1 + p.
#pragma once

#include <cstdint>

#include "base/units.h"
#include "wire/seq.h"

namespace holdfast::tcp {

constexpr wire::SeqNum to_seq(wire::SeqNum isn, StreamOffset position) {
  return isn + 1 + static_cast<std::uint32_t>(position.value);
}

// The position nearest to `near` that `seq` can mean; below 0 for the SYN and for what never was.
constexpr std::int64_t to_position(wire::SeqNum isn, wire::SeqNum seq, StreamOffset near) {
  return static_cast<std::int64_t>(near.value) + wire::SeqNum::distance(seq, to_seq(isn, near));
}

}  // namespace holdfast::tcp
