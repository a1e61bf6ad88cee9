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
  kClockLeaps,              // the clock follows the machine's where that is later than the predecessor's ceiling
  kCopyTooMany,             // a handshake's step certifies one copy more than there is
  kStepNUnstored,           // step N, and what follows it, leaves before "established" is stored
  // ip
  kAskAtOnce,  // an ARP request leaves without a log write
  // tcp
  kLastAckFromReleased,     // TS.Recent from the released ACK
  kResetAgainstOneEdge,     // RST acceptable at the released ACK only
  kWindowCountedTwice,      // window from rcv_nxt although the edge is relative to the released ACK
  kDuplicateDrawsAck,       // immediate ACK for a duplicate of unstored bytes
  kSackAboveUnreleased,     // SACK blocks with an ACK below the gap's edge
  kTimeWaitSkipped,         // CLOSED straight away
  kReassemblyKeepsOverlap,  // the reassembly hands out overlapping bytes twice
  kCookieUnchecked,         // any ACK is taken for that of a SYN cookie
  kCookieTimestampAhead,    // a SYN cookie's TSval is rounded to a moment that has not come
  // log
  kLongestLogWins,     // recovery chooses by length, not by (epoch, LSN)
  kNoPromise,          // an epoch starts without its promise
  kCountBeyondPrefix,  // a location counts up to its highest completed batch, holes or not
  kNoMac,              // batch MACs not checked
  kOneCopyIsEnough,    // durable at the first location
  kReuseOldSegment,    // a new epoch goes on writing in the old epoch's segment
  kFailedWriteCounts,  // a write that failed counts as stored
  kIgnorePayloadCrc,   // recovery and readers do not check payload checksums
  kReleaseUnmarked,    // a segment goes as soon as a checkpoint that gives it up is begun
  kReleaseNeeded,      // segments go whatever live connections need of them
  // stack
  kCookieKeyForgotten,  // each life makes and checks SYN cookies with a secret of its own
  kCookieUsedTwice,     // the ACK of a SYN cookie opens a connection that is over once more
  // location
  kLockAnotherFile,  // the lock is not on the descriptors written through
  // tcp, the N-way handshake: for the model checker (tests/model), which sees each step of it
  kWaysEchoUnchecked,     // any echo will do
  kWaysNonceWithoutIsns,  // nonces are the same for every connection between two ports
  kWaysNonceRepeats,      // nonces are the same for every connection with the same ISNs
  kWaysCookieUnproved,    // step 3 opens a connection by cookie whatever it echoes
  kWaysAckUnchecked,      // (in the model's shell) a segment that acknowledges another connection's SYN is taken
  kWaysAnyStep,           // an older step is taken as if it were the next
  kWaysSendUnstored,      // step N leaves before "established" is stored
  kWaysCertifyUncounted,  // a step says that there are as many copies as were asked for
  kWaysFewTaken,          // strict, and goes on with too few
  kWaysNoProof,           // the sender of step N believes that it arrived
  kWaysForgetNonce,       // a replacement echoes nothing
  kWaysOldUnanswered,     // a peer that was set back is not told where we are
  kWaysSettleLarger,      // more ways than the responder's maximum
  kWaysFallBackLate,      // a segment without the option means three ways at any step
  kWaysNeverStops,        // steps are repeated for ever
  kWaysGivesUpSilently,   // and then the connection stays as it is
  // location, a pool and its owners: for the simulation of these alone (tests/location)
  kPoolNoGuard,         // writes do not assert the owner's epoch
  kPoolNoFence,         // a new owner does not raise the segments' epochs
  kPoolTakesBlind,      // a log is taken whoever has taken it meanwhile
  kPoolUsedUnnamed,     // a segment is written to before the head says that it is in use
  kPoolUnsettled,       // after a time-out what follows is written before it is known what happened
  kPoolTimeoutDone,     // a time-out counts as done
  kPoolLapsedReports,   // an owner whose lease has run out reports what is done
  kPoolOutOfTurn,       // a segment is made while what is left of another owner's of that number is being removed
  kPoolLooksBefore,     // a new owner knows the segments that there were before it took the log
  kPoolFenceUnawaited,  // a new owner reads while the segments' epochs are still being raised
  kPoolHeadUnguarded,   // what is written to the head does not assert the owner's epoch
  kPoolMakesBlind,      // an object that is there already is made anew whoever has it
  kPoolRemovesBlind,    // a segment's object is removed whoever has it
  kPoolTakesRenewed,    // a log is taken though its owner has renewed since it was looked at
  kPoolRestsEarly,      // a segment is put at rest with a write to it on its way
  kPoolWritesAsleep,    // a segment at rest is written to without being woken
  kPoolSkipsAwake,      // a new owner leaves out one of the segments that are awake
  // log on a pool: for the simulation of a service group (tests/sim), which hunts most of the pool's own as well
  kSilentIsEmpty,  // a start takes what a location does not tell in time for nothing
  kPoolFenceLate,  // a new owner reads, and raises the segments' epochs afterwards
  kCount
};
// From here on they are the model checker's, before that the simulator's.
inline constexpr Mutant kFirstModelMutant = Mutant::kWaysEchoUnchecked;
inline constexpr Mutant kFirstPoolMutant = Mutant::kPoolNoGuard;
inline constexpr Mutant kFirstGroupMutant = Mutant::kSilentIsEmpty;

#ifdef HOLDFAST_MUTANTS
extern Mutant active_mutant;  // one at a time, set by the test before it starts a world
#define HF_MUTANT(name) (::holdfast::active_mutant == ::holdfast::Mutant::name)
#else
#define HF_MUTANT(name) false
#endif

}  // namespace holdfast
