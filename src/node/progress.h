// A progress bar on standard error, for people: only where that is a terminal, and not in the first half second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/units.h"

namespace holdfast::node {

class Progress {
 public:
  enum class Unit : std::uint8_t { kBytes, kHandshakes };

  // `total` where known.
  Progress(std::string what, std::optional<std::uint64_t> total, bool wanted, Unit unit = Unit::kBytes);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap enough for every piece: draws ten times a second at the most.
  void update(std::uint64_t done);

 private:
  void draw(Time now);

  std::string what_;
  std::optional<std::uint64_t> total_;
  Unit unit_;
  bool shown_;
  bool drawn_ = false;
  Time started_;
  Time next_draw_;
  std::uint64_t done_ = 0;
};

}  // namespace holdfast::node
