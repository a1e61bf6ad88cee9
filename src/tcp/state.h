// RFC 9293 section 3.3.2, figure 5, as one function. LISTEN is not here: it belongs to the listener.
#pragma once

#include <cstdint>
#include <optional>

#include "tcp/connection.h"

namespace holdfast::tcp {

enum class Event : std::uint8_t {
  kSynArrives,    // without an ACK of ours: simultaneous open
  kSynAcked,      // our SYN is acknowledged, and theirs has arrived
  kFinSent,       // our FIN left for the first time
  kFinArrives,    // their FIN, in order
  kFinAcked,      // our FIN is acknowledged
  kTimeWaitOver,  // 2 MSL have passed
  kEnd,           // reset, aborted, timed out
};

// Where `event` leads from `state`; nothing where figure 5 has no such arrow.
std::optional<State> next_state(State state, Event event);

// Both SYNs are acknowledged, and neither side has forgotten the connection (RFC 9293 section 3.3.2 "synchronized").
constexpr bool is_synchronized(State state) { return state >= State::kEstablished && state <= State::kTimeWait; }
// The peer's FIN has not come yet.
constexpr bool may_receive(State state) {
  return state == State::kEstablished || state == State::kFinWait1 || state == State::kFinWait2;
}

}  // namespace holdfast::tcp
