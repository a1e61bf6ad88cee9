// What is printed: a line for each N, the counterexamples, and the same as JSON.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "model/checker.h"

namespace holdfast::model {

class Report {
 public:
  // `each`: a line for each scenario, too.
  Report(bool json, bool each) : json_(json), each_(each) {}
  void expect(std::uint8_t ways) { ++rows_[ways].missing; }
  // In any order; a row is printed when it is complete and all before it are.
  void add(const Scenario& scenario, const Verdict& verdict);
  // True: nothing was broken, and everything was explored.
  bool finish();
  bool broken() const { return total_.failed > 0; }

 private:
  struct Row {
    unsigned missing = 0, scenarios = 0, failed = 0, cut_short = 0;
    std::uint64_t states = 0, transitions = 0, fair_states = 0, had_to_speak = 0;
    std::uint32_t depth = 0;
    double seconds = 0;
    std::string lines;  // below the row
  };
  void print_rows();
  void print(std::uint8_t ways, const Row& row) const;

  const bool json_, each_;
  bool headed_ = false;
  std::map<std::uint8_t, Row> rows_;
  std::uint8_t next_ = 0;
  std::string objects_;
  Row total_;
};

}  // namespace holdfast::model
