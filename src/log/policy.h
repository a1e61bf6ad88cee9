// When a batch is written: group commit, pipelined. The one place for this decision; pure.
//
// A full batch leaves while fewer than `max_in_flight` are on their way, and so does one that is worth a write of its
// own: a sender whose window is smaller than the pipeline (BBR's is) would otherwise wait for a batch that it cannot
// fill. A smaller one leaves only when nothing is on its way (and the caller has nothing more to add now): while writes
// are in flight the next batch fills. Where the store is far away that would be a long time: then one leaves beside
// others when it is due (pipeline.h), and with more than a few on their way a part of a batch is no reason of its own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast::log {

// One part in so many of a full batch is worth a write of its own: large enough for a device to write at speed, small
// enough that several fit into the window of a sender with bbr.
inline constexpr std::size_t kWorthwhilePart = 4;

struct IssueState {
  unsigned in_flight = 0;  // batches issued and not durable yet
  unsigned max_in_flight = 0;
  unsigned few = ~0U;        // in flight, below which a part of a batch is worth a write
  unsigned sealed = 0;       // complete batches that wait
  bool open_wanted = false;  // the open batch holds something, or must be issued though it is empty
  bool flush = false;        // the caller has nothing more to add now
  bool due = false;          // it is time for what there is
  std::size_t open_bytes = 0;
  std::size_t full_bytes = 0;  // of a batch
};

enum class IssueDecision : std::uint8_t { kNothing, kIssueSealed, kSealAndIssue };

IssueDecision decide_issue(const IssueState& state);

}  // namespace holdfast::log
