// Seeded bugs. The simulator is only worth as much as what it catches, so the places that uphold a rule carry a switch
// that breaks it: `if (HF_MUTANT(kGateOff)) …`. The switches exist only in the libraries built with HOLDFAST_MUTANTS
// for the test that runs the simulator against each of them (tests/sim); everywhere else the condition is a constant
// false.
#pragma once

#include <cstdint>

#ifdef HOLDFAST_NO_MUTANTS
#error \
    "This file was compiled once for both libraries, and can have no switch: run cmake once more (cmake/layers.cmake)"
#endif

namespace holdfast {

enum class Mutant : std::uint8_t {
  kNone = 0,
  // gate
  kGateOff,                 // acknowledge on arrival
  kAckRawStoredEdge,        // acknowledge the stored edge instead of a noted value
  kRefuseBeforeRecovery,    // RST "no such connection" without the barrier write
  kWindowWithoutRoom,       // advertise without a reservation
  kSynAckBeforeRecord,      // SYN-ACK before the connection record is stored
  kResetBeforeCloseRecord,  // our RST before the close record is stored
  kOutboundUnstored,        // transmit outbound bytes before they are stored
  kFinAckUnstored,          // acknowledge a FIN before it is stored
  kStreamIdReused,          // number streams from 1 after a restart
  kCopyTooMany,             // a handshake's step certifies one copy more than there is
  kStepNUnstored,           // step N, and what follows it, leaves before "established" is stored
  // tcp
  kLastAckFromReleased,     // TS.Recent from the released ACK
  kResetAgainstOneEdge,     // RST acceptable at the released ACK only
  kWindowCountedTwice,      // window from rcv_nxt although the edge is relative to the released ACK
  kDuplicateDrawsAck,       // immediate ACK for a duplicate of unstored bytes
  kSackAboveUnreleased,     // SACK blocks with an ACK below the gap's edge
  kTimeWaitSkipped,         // CLOSED straight away
  kReassemblyKeepsOverlap,  // the reassembly hands out overlapping bytes twice
  // log
  kLongestLogWins,     // recovery chooses by length, not by (epoch, LSN)
  kNoPromise,          // an epoch starts without its promise
  kCountBeyondPrefix,  // a location counts up to its highest completed batch, holes or not
  kNoMac,              // batch MACs not checked
  kOneCopyIsEnough,    // durable at the first location
  kReuseOldSegment,    // a new epoch goes on writing in the old epoch's segment
  kFailedWriteCounts,  // a write that failed counts as stored
  kIgnorePayloadCrc,   // recovery and readers do not check payload checksums
  // location
  kLockAnotherFile,  // the lock is not on the descriptors written through
  kCount
};

#ifdef HOLDFAST_MUTANTS
extern Mutant active_mutant;  // one at a time, set by the test before it starts a world
#define HF_MUTANT(name) (::holdfast::active_mutant == ::holdfast::Mutant::name)
#else
#define HF_MUTANT(name) false
#endif

}  // namespace holdfast
