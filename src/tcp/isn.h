// Numbers that a stranger must not guess, as pure functions of a secret that every owner of the log shares.
#pragma once

#include <cstdint>

#include "base/prf.h"
#include "base/units.h"
#include "wire/address.h"
#include "wire/seq.h"

namespace holdfast::tcp {

// RFC 6528 section 3: ISN = M + F(secret, tuple), where M counts 4-microsecond ticks (RFC 9293 MUST-8).
wire::SeqNum initial_sequence_number(const Secret& secret, const wire::FourTuple& tuple, std::uint64_t ticks_4us);
// RFC 7323 section 7.1: an offset for TSval. The same for each incarnation of a tuple, so that RFC 6191 works.
std::uint32_t timestamp_offset(const Secret& secret, const wire::FourTuple& tuple);
// For the connection table: keyed, so that strangers can't choose tuples that collide.
std::uint64_t tuple_hash(const Secret& secret, const wire::FourTuple& tuple);

}  // namespace holdfast::tcp
