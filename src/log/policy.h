// When a batch is written: group commit, pipelined. The one place for this decision; pure.
//
// A full batch leaves while fewer than `max_in_flight` are on their way. A partial one leaves only when nothing is on
// its way (and the caller has nothing more to add now): while writes are in flight the next batch fills.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast::log {

struct IssueState {
  unsigned in_flight = 0;  // batches issued and not durable yet
  unsigned max_in_flight = 0;
  unsigned sealed = 0;       // complete batches that wait
  bool open_wanted = false;  // the open batch holds something, or must be issued though it is empty
  bool flush = false;        // the caller has nothing more to add now
};

enum class IssueDecision : std::uint8_t { kNothing, kIssueSealed, kSealAndIssue };

IssueDecision decide_issue(const IssueState& state);

}  // namespace holdfast::log
