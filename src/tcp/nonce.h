// The nonces of an N-way handshake: derived, not drawn, so that a restarted or replacement node goes on at any step
// without having stored each one (docs/handshake.md, "Nonces").
#pragma once

#include <cstdint>

#include "base/prf.h"
#include "wire/address.h"
#include "wire/seq.h"
#include "wire/tcp.h"

namespace holdfast::tcp {

// What all nonces of one side of one handshake have in common.
struct NonceSource {
  Secret secret;
  wire::FourTuple tuple;  // as this side sees it
  wire::SeqNum initiator_isn;
  wire::SeqNum responder_isn;  // 0 while it is not known: in step 1
  // This connection's number at this side, which no other has had. Both ISNs of a handshake by SYN cookie may be those
  // of an earlier one: counts from step 4 on, where the record that holds it is stored.
  std::uint64_t connection = 0;

  // PRF(secret; tuple, both ISNs, ways, step, flags, connection). Of the option's fields only these count.
  std::uint32_t nonce(const wire::WaysOption& option) const;
  friend bool operator==(const NonceSource&, const NonceSource&) = default;
};

}  // namespace holdfast::tcp
