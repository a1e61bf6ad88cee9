#include "sim/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace holdfast::sim {

namespace {

// A run this long should have seen every fault.
constexpr std::uint64_t kEnoughSeeds = 500;

}  // namespace

Report::Report(WorldKind kind, std::uint64_t seeds, std::string replay, bool json)
    : kind_(kind), seeds_(seeds), replay_(std::move(replay)), json_(json), terminal_(::isatty(STDERR_FILENO) == 1) {}

void Report::add(const WorldResult& result) {
  ++done_;
  events_ += result.events;
  streams_ += result.streams;
  bytes_ += result.bytes_stored;
  lives_ += result.lives;
  simulated_ += result.simulated_seconds;
  for (std::size_t i = 0; i < kFaultCount; ++i) faults_.counts[i] += result.faults.counts[i];
  if (!result.ok) {
    failures_.push_back(result);
    if (!json_) {
      if (terminal_) fmt::print(stderr, "\r\x1b[K");
      fmt::print("seed {} FAILED: {}\n  {}\n  replay: {} --from {} --seeds 1 --trace\n", result.seed, result.failure,
                 result.scenario, replay_, result.seed);
      std::fflush(stdout);
    }
  }
  show_progress();
}

void Report::show_progress() {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (done_ != seeds_ && now - shown_ < std::chrono::milliseconds(100)) return;
  shown_ = now;
  constexpr std::uint64_t kWidth = 40;
  const std::uint64_t filled = seeds_ == 0 ? kWidth : done_ * kWidth / seeds_;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double left = done_ == 0 ? 0 : seconds / static_cast<double>(done_) * static_cast<double>(seeds_ - done_);
  fmt::print(stderr, "\r[{}{}] {}/{} seeds, {} failed, {:.0f} s left \x1b[K", std::string(filled, '#'),
             std::string(kWidth - filled, '.'), done_, seeds_, failures_.size(), left);
}

bool Report::finish() {
  if (terminal_) fmt::print(stderr, "\r\x1b[K");
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  if (json_) {
    print_json(seconds);
  } else {
    print_text(seconds);
  }
  return failures_.empty();
}

void Report::print_text(double seconds) const {
  fmt::print("{} seeds in {:.1f} s: {} passed, {} failed\n", done_, seconds, done_ - failures_.size(),
             failures_.size());
  fmt::print("{:.0f} simulated seconds, {} events, {} connections stored, {} bytes, {} starts of a node\n", simulated_,
             events_, streams_, bytes_, lives_);
  fmt::print("faults:");
  std::size_t column = 0;
  std::string never;
  for (std::size_t i = 0; i < kFaultCount; ++i) {
    const auto fault = static_cast<Fault>(i);
    if (!can_happen(fault, kind_)) continue;
    if (faults_[fault] == 0) never += fmt::format(" {}", to_string(fault));
    fmt::print("{}{:>15} {:<9}", column++ % 5 == 0 ? "\n" : "", to_string(fault), faults_[fault]);
  }
  fmt::print("\n");
  if (done_ >= kEnoughSeeds && !never.empty()) fmt::print("never happened:{}\n", never);
  for (const WorldResult& failure : failures_) {
    fmt::print("FAILED: {} --from {} --seeds 1 --trace\n", replay_, failure.seed);
  }
}

void Report::print_json(double seconds) const {
  nlohmann::json json;
  json["seeds"] = done_;
  json["passed"] = done_ - failures_.size();
  json["seconds"] = seconds;
  json["simulated_seconds"] = simulated_;
  json["events"] = events_;
  json["streams"] = streams_;
  json["bytes_stored"] = bytes_;
  json["node_starts"] = lives_;
  for (std::size_t i = 0; i < kFaultCount; ++i) {
    json["faults"][std::string(to_string(static_cast<Fault>(i)))] = faults_.counts[i];
  }
  json["failures"] = nlohmann::json::array();
  for (const WorldResult& failure : failures_) {
    json["failures"].push_back({{"seed", failure.seed},
                                {"why", failure.failure},
                                {"scenario", failure.scenario},
                                {"replay", fmt::format("{} --from {} --seeds 1 --trace", replay_, failure.seed)}});
  }
  fmt::print("{}\n", json.dump(2));
}

}  // namespace holdfast::sim
