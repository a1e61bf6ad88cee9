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
  kCount
};

inline constexpr std::size_t kFaultCount = static_cast<std::size_t>(Fault::kCount);

std::string_view to_string(Fault fault);

struct FaultCounts {
  std::array<std::uint64_t, kFaultCount> counts{};
  void add(Fault fault, std::uint64_t n = 1) { counts[static_cast<std::size_t>(fault)] += n; }
  std::uint64_t operator[](Fault fault) const { return counts[static_cast<std::size_t>(fault)]; }
};

}  // namespace holdfast::sim
