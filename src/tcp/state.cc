#include "tcp/state.h"

#include <string_view>

#include "base/mutant.h"

namespace holdfast::tcp {

std::string_view to_string(State state) {
  switch (state) {
    case State::kSynSent:
      return "SYN-SENT";
    case State::kSynReceived:
      return "SYN-RECEIVED";
    case State::kEstablished:
      return "ESTABLISHED";
    case State::kFinWait1:
      return "FIN-WAIT-1";
    case State::kFinWait2:
      return "FIN-WAIT-2";
    case State::kCloseWait:
      return "CLOSE-WAIT";
    case State::kClosing:
      return "CLOSING";
    case State::kLastAck:
      return "LAST-ACK";
    case State::kTimeWait:
      return "TIME-WAIT";
    case State::kClosed:
      return "CLOSED";
  }
  return "unknown";
}

std::optional<State> next_state(State state, Event event) {
  if (event == Event::kEnd) return state == State::kClosed ? std::nullopt : std::optional(State::kClosed);
  const State time_wait = HF_MUTANT(kTimeWaitSkipped) ? State::kClosed : State::kTimeWait;
  switch (state) {
    case State::kSynSent:
      if (event == Event::kSynArrives) return State::kSynReceived;
      if (event == Event::kSynAcked) return State::kEstablished;
      break;
    case State::kSynReceived:
      if (event == Event::kSynAcked) return State::kEstablished;
      break;
    case State::kEstablished:
      if (event == Event::kFinSent) return State::kFinWait1;
      if (event == Event::kFinArrives) return State::kCloseWait;
      break;
    case State::kFinWait1:
      if (event == Event::kFinAcked) return State::kFinWait2;
      if (event == Event::kFinArrives) return State::kClosing;
      break;
    case State::kFinWait2:
      if (event == Event::kFinArrives) return time_wait;
      break;
    case State::kCloseWait:
      if (event == Event::kFinSent) return State::kLastAck;
      break;
    case State::kClosing:
      if (event == Event::kFinAcked) return time_wait;
      break;
    case State::kLastAck:
      if (event == Event::kFinAcked) return State::kClosed;
      break;
    case State::kTimeWait:
      if (event == Event::kTimeWaitOver) return State::kClosed;
      break;
    case State::kClosed:
      break;
  }
  return std::nullopt;
}

}  // namespace holdfast::tcp
