#include "log/policy.h"

namespace holdfast::log {

IssueDecision decide_issue(const IssueState& state) {
  if (state.sealed > 0) {
    return state.in_flight < state.max_in_flight ? IssueDecision::kIssueSealed : IssueDecision::kNothing;
  }
  if (state.flush && state.open_wanted && state.in_flight == 0) return IssueDecision::kSealAndIssue;
  return IssueDecision::kNothing;
}

}  // namespace holdfast::log
