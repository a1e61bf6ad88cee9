// Many handshakes under each of many conditions, and what they come to.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "lab/conditions.h"
#include "lab/handshake.h"
#include "lab/statistics.h"

namespace holdfast::lab {

// Every combination of these is a cell.
struct Grid {
  std::vector<std::uint8_t> ways{3, 4, 5, 8, 16, 32};
  std::vector<std::uint32_t> loss{0, 10'000, 50'000};  // parts of a million
  std::vector<Duration> delay{std::chrono::milliseconds(50)};
  std::vector<Duration> storage{Duration::zero(), std::chrono::milliseconds(5)};
  Conditions common;  // the rest
  unsigned runs = 300;
  std::uint64_t seed = 1;

  // In the order of the report: storage, delay, loss, ways.
  std::vector<Conditions> cells() const;
};

struct Cell {
  Conditions conditions;
  unsigned runs = 0, established = 0;  // established: both sides
  // Of the established ones.
  Distribution time_ms;          // from connect() until both are
  Distribution segments, bytes;  // until then
  Distribution repeated;         // of these segments
  // In per cent of the path's round trip, by side: |SRTT - round trip|, and RTO.
  std::array<Distribution, 2> srtt_error, rto;
  std::array<unsigned, 2> certified{};   // least copies that a side had certified at the end
  std::array<unsigned, 2> short_runs{};  // runs in which a step of this side said SHORT
  // Of all.
  Distribution half_open_ms;                 // of runs in which a side was ESTABLISHED
  unsigned one_sided = 0, lasting = 0;       // runs: one side never ESTABLISHED; … and the other still is
  std::map<std::string, unsigned> failures;  // by what the initiator was told
  unsigned failed() const { return runs - established; }
};

// The seed of one run depends on its conditions and its number only: a cell is the same in every grid.
std::uint64_t seed_of(const Conditions& conditions, std::uint64_t seed, unsigned run);

// `go_on` is asked before each run with the number of runs done; false ends the sweep, and the cell that is not
// complete is left out.
Result<std::vector<Cell>> sweep(const Grid& grid, const std::function<bool(std::uint64_t done)>& go_on);

}  // namespace holdfast::lab
