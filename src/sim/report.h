// What a run of many seeds shows to people: a progress bar while it lasts, failing seeds with the command that replays
// them, and how often each fault happened.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/seed_runner.h"

namespace holdfast::sim {

class Report {
 public:
  // `replay`: the command that replays a seed, which is appended.
  Report(WorldKind kind, std::uint64_t seeds, std::string replay, bool json);

  void add(const WorldResult& result);
  // The summary. Returns whether every seed passed.
  bool finish();

 private:
  void show_progress();
  void print_text(double seconds) const;
  void print_json(double seconds) const;

  WorldKind kind_;
  std::uint64_t seeds_;
  std::string replay_;
  bool json_;
  bool terminal_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_{};

  std::uint64_t done_ = 0, events_ = 0, streams_ = 0, bytes_ = 0, lives_ = 0;
  double simulated_ = 0;
  FaultCounts faults_;
  std::vector<WorldResult> failures_;
};

}  // namespace holdfast::sim
