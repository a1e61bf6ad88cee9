// Everything bad that can happen in a world, by name, and how often it did. A fault that never happens in a long run is
// a simulator that does not test it: the summary says so.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace holdfast::sim {

enum class Fault : std::uint8_t {
  // wire
  kLoss,
  kDuplicate,
  kReorder,
  kCorrupt,
  kQueueDrop,      // a full queue in front of a slow line
  kPartitionDrop,  // a frame lost to a partition
  kFragment,       // a datagram cut into fragments
  kSuperSegment,   // a super-segment passed on whole
  // the node's life
  kKill,  // SIGKILL
  kPowerLoss,
  kCrashInRecovery,
  kCrashMidCall,  // in the middle of a burst of frames and writes
  kFramesQueued,  // frames that waited for the restarted node (the keeper's queue)
  kFramesLost,    // frames that came while the node was away
  kDropped,       // the keeper's queue was full
  kCleanStop,
  kClockJump,  // the wall clock of a restarted node jumped
  // disks
  kTornWrite,
  kLateWrite,  // a dead process's write landed after its death
  kLateWriteLost,
  kReorderedWrite,  // completed before an older one
  kSlowDisk,
  kDiskStall,
  kDiskFailed,
  kWriteError,
  kDiskFull,
  kRot,
  kDiskAway,    // missing at a start
  kForgedTail,  // bytes of a client's choice in recycled space
  // peers
  kHostReboot,  // a client host forgot everything
  kAbort,
  kNodeAbort,
  kPlainPeer,   // a peer without SACK, timestamps, window scale
  kZeroWindow,  // a reader that closes its window
  kTinySegments,
  kOverlap,  // retransmission with other boundaries
  kForgedReset,
  kForgedSyn,
  kForgedAck,
  kForgedData,
  kForgedIcmp,
  kForgedArp,
  kGarbage,
  kTruncated,
  kProbe,  // segments to no connection
  // handshakes: no faults, but nothing is tested where they do not happen
  kLongHandshake,  // step N of more than three ways left
  kShortRollCall,  // a step with fewer copies than it asks for
  kForgedStep,
  kSynFlood,        // SYNs that nobody will follow up
  kSynCookie,       // sent by the node
  kSynCookieTaken,  // a peer goes on by one
  kReplayedAck,     // the ACK of a cookie, once more, when its connection is over
  kReleased,        // (no fault) a segment that was full is used again or removed
  // a service group on a pool (group_world.h)
  kTakeover,        // (no fault) the log was taken from another owner, or taken again
  kTakeLost,        // somebody else was quicker, or the owner has renewed
  kHandOver,        // asked for
  kNodeStopped,     // SIGSTOP
  kZombie,          // woke up, or came back, and the log was another's
  kZombieFrames,    // frames of a stopped node that leave when it wakes up
  kFramesCut,       // a node's line to the switch
  kPoolCut,         // an operation of a node that is cut off from the pool
  kPoolSlow,        // an operation, or its answer, that takes several leases perhaps
  kUnknownOutcome,  // an answer that did not come in time
  kLandedLate,      // executed after its sender was told that
  kRenewalLost,
  kFencedWrite,  // a write of a former owner that met the fence
  kPassedOn,     // frames that a former owner has passed on
  kCount
};

inline constexpr std::size_t kFaultCount = static_cast<std::size_t>(Fault::kCount);

std::string_view to_string(Fault fault);

// A node alone on its disks, or a service group on a pool.
enum class WorldKind : std::uint8_t { kNode, kGroup };
// Whether it can happen in such a world.
bool can_happen(Fault fault, WorldKind kind);

struct FaultCounts {
  std::array<std::uint64_t, kFaultCount> counts{};
  void add(Fault fault, std::uint64_t n = 1) { counts[static_cast<std::size_t>(fault)] += n; }
  std::uint64_t operator[](Fault fault) const { return counts[static_cast<std::size_t>(fault)]; }
};

}  // namespace holdfast::sim
