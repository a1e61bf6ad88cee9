#include "model/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

namespace holdfast::model {

void Report::add(const Scenario& scenario, const Verdict& verdict) {
  Row& row = rows_[scenario.ways];
  for (Row* sum : {&row, &total_}) {
    ++sum->scenarios;
    sum->states += verdict.states;
    sum->transitions += verdict.transitions + verdict.fair_transitions;
    sum->fair_states += verdict.fair_states;
    sum->had_to_speak += verdict.had_to_speak;
    sum->depth = std::max(sum->depth, verdict.depth);
    sum->seconds += verdict.seconds;
    if (verdict.broken != Property::kNone) {
      ++sum->failed;
    } else if (!verdict.complete) {
      ++sum->cut_short;
    }
  }
  --row.missing;
  if (json_) {
    nlohmann::ordered_json object;
    object["ways"] = scenario.ways;
    object["scenario"] = scenario.name;
    object["states"] = verdict.states;
    object["pairs"] = verdict.pairs;
    object["transitions"] = verdict.transitions;
    object["depth"] = verdict.depth;
    object["fair_states"] = verdict.fair_states;
    object["fair_transitions"] = verdict.fair_transitions;
    object["side_states"] = verdict.sides;
    object["segments"] = verdict.messages;
    object["only_speaking_ends"] = verdict.had_to_speak;
    object["complete"] = verdict.complete;
    object["broken"] = verdict.broken == Property::kNone ? nlohmann::ordered_json() : to_string(verdict.broken);
    if (!verdict.ladder.empty()) object["counterexample"] = verdict.ladder;
    object["seconds"] = verdict.seconds;
    if (!objects_.empty()) objects_ += ",\n";
    objects_ += "  " + object.dump();
    return;
  }
  if (each_ || !verdict.ok()) {
    const std::string outcome = verdict.ok()                        ? std::string("holds")
                                : verdict.broken != Property::kNone ? std::string(to_string(verdict.broken))
                                                                    : std::string("more states than --states allows");
    row.lines += fmt::format("     {:<56} {:>9} states, {:>8} fair, {:>6.2f} s: {}\n", scenario.name, verdict.states,
                             verdict.fair_states, verdict.seconds, outcome);
    row.lines += verdict.ladder;
  }
  print_rows();
}

void Report::print_rows() {
  if (!std::exchange(headed_, true)) {
    fmt::print("{:>4} {:>9} {:>12} {:>12} {:>12} {:>6} {:>8}  {}\n", "N", "scenarios", "states", "transitions",
               "fair states", "depth", "CPU s", "verdict");
  }
  for (auto& [ways, row] : rows_) {
    if (ways < next_) continue;
    if (row.missing > 0) break;
    print(ways, row);
    next_ = static_cast<std::uint8_t>(ways + 1);
  }
  std::fflush(stdout);
}

void Report::print(std::uint8_t ways, const Row& row) const {
  const std::string verdict = row.failed > 0      ? fmt::format("{} of {} scenarios FAILED", row.failed, row.scenarios)
                              : row.cut_short > 0 ? fmt::format("{} not explored to the end", row.cut_short)
                                                  : "holds";
  fmt::print("{:>4} {:>9} {:>12} {:>12} {:>12} {:>6} {:>8.2f}  {}\n{}", ways == 0 ? "all" : std::to_string(ways),
             row.scenarios, row.states, row.transitions, row.fair_states, row.depth, row.seconds, verdict, row.lines);
}

bool Report::finish() {
  if (json_) {
    fmt::print("[\n{}\n]\n", objects_);
    return total_.failed == 0 && total_.cut_short == 0;
  }
  for (const auto& [ways, row] : rows_) {
    if (ways >= next_ && row.scenarios > 0) print(ways, row);  // where it was stopped before the end
  }
  print(0, total_);
  return total_.failed == 0 && total_.cut_short == 0;
}

}  // namespace holdfast::model
