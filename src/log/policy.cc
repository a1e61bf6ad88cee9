#include "log/policy.h"

namespace holdfast::log {

IssueDecision decide_issue(const IssueState& state) {
  if (state.in_flight >= state.max_in_flight) return IssueDecision::kNothing;
  if (state.sealed > 0) return IssueDecision::kIssueSealed;
  if (!state.open_wanted) return IssueDecision::kNothing;
  const bool alone = state.flush && (state.in_flight == 0 || state.due);
  const bool worthwhile = state.in_flight < state.few && state.open_bytes >= state.full_bytes / kWorthwhilePart;
  return alone || worthwhile ? IssueDecision::kSealAndIssue : IssueDecision::kNothing;
}

}  // namespace holdfast::log
