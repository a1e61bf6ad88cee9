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

  // PRF(secret; tuple, both ISNs, ways, step, flags). Of the option's fields only these count.
  std::uint32_t nonce(const wire::WaysOption& option) const;
  friend bool operator==(const NonceSource&, const NonceSource&) = default;
};

}  // namespace holdfast::tcp
