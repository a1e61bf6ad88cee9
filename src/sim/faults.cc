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
    "syn-flood",     "syn-cookie",    "cookie-taken",  "replayed-ack", "released",
};

}  // namespace

std::string_view to_string(Fault fault) {
  HF_ASSERT(fault < Fault::kCount);
  return kNames[static_cast<std::size_t>(fault)];
}

}  // namespace holdfast::sim
