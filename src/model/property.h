// What must hold (docs/handshake.md; README.md says which sentence is which).
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast::model {

enum class Property : std::uint8_t {
  kNone = 0,
  kAgreement,   // both ESTABLISHED: the same ISNs, N and options; and no fewer ways than either asked for
  kCopies,      // strict and established: what the peer certified was enough, and was there when it said so
  kAsked,       // ESTABLISHED: the other side has agreed to this very connection
  kStored,      // what leaves a durable side is stored before
  kOrder,       // steps are taken in order; only a resumed side jumps, and never backwards
  kForgery,     // what no side sent changes nothing
  kEnds,        // whatever happened, with a fair channel from then on: both ESTABLISHED, or both CLOSED
  kNoLivelock,  // and that after finitely many segments
  kSurvives,    // and ESTABLISHED where neither had given up before
  kNominal,     // without a fault: ESTABLISHED with the lesser of what both allow
};

std::string_view to_string(Property property);  // one line for a person: what was broken

}  // namespace holdfast::model
