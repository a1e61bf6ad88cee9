// One world from one seed: hosts, wires, disks, clocks, crashes, and the oracle that judges it. One thread, simulated
// time, nothing from outside: equal seeds give equal traces.
#pragma once

#include <cstdint>
#include <string>

#include "sim/faults.h"

namespace holdfast::sim {

struct WorldOptions {
  bool trace = false;  // print what happens
};

struct WorldResult {
  std::uint64_t seed = 0;
  bool ok = false;
  std::string failure;   // the first broken rule
  std::string scenario;  // what the world was about
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0;
  double simulated_seconds = 0;
  FaultCounts faults;
  std::uint64_t streams = 0, bytes_stored = 0, lives = 0;
};

WorldResult run_world(std::uint64_t seed, const WorldOptions& options);

}  // namespace holdfast::sim
