#include "sim/faults.h"

#include "base/assert.h"

namespace holdfast::sim {

namespace {

constexpr std::array<std::string_view, kFaultCount> kNames = {
    "loss",          "duplicate",     "reorder",       "corrupt",      "queue-drop",      "partition-drop",
    "fragment",      "super-segment", "kill",          "power-loss",   "crash-recovery",  "crash-mid-call",
    "frames-queued", "frames-lost",   "keeper-full",   "clean-stop",   "clock-jump",      "torn-write",
    "late-write",    "late-lost",     "write-reorder", "slow-disk",    "disk-stall",      "disk-failed",
    "write-error",   "disk-full",     "rot",           "disk-away",    "forged-tail",     "host-reboot",
    "abort",         "node-abort",    "plain-peer",    "zero-window",  "tiny-segments",   "overlap",
    "forged-reset",  "forged-syn",    "forged-ack",    "forged-data",  "forged-icmp",     "forged-arp",
    "garbage",       "truncated",     "probe",         "n-way",        "short-roll-call", "forged-step",
    "syn-flood",     "syn-cookie",    "cookie-taken",  "replayed-ack", "released",        "takeover",
    "take-lost",     "hand-over",     "node-stopped",  "zombie",       "zombie-frames",   "frames-cut",
    "pool-cut",      "pool-slow",     "unknown",       "landed-late",  "renewal-lost",    "fenced-write",
    "passed-on",
};

}  // namespace

std::string_view to_string(Fault fault) {
  HF_ASSERT(fault < Fault::kCount);
  return kNames[static_cast<std::size_t>(fault)];
}

bool can_happen(Fault fault, WorldKind kind) {
  if (fault >= Fault::kTakeover) return kind == WorldKind::kGroup;
  if (kind == WorldKind::kNode) return true;
  // There is nobody who attacks a group's nodes, or dials from them.
  const bool of_disks = fault >= Fault::kTornWrite && fault <= Fault::kForgedTail;
  const bool of_attackers = fault >= Fault::kForgedReset && fault < Fault::kReleased;
  return !of_disks && !of_attackers && fault != Fault::kPowerLoss && fault != Fault::kCrashInRecovery &&
         fault != Fault::kCleanStop && fault != Fault::kClockJump && fault != Fault::kHostReboot;
}

}  // namespace holdfast::sim
