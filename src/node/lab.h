// `holdfast lab handshake`: experiments in simulated time. Touches no network and no storage but the files that are
// asked for.
#pragma once

#include <string>

#include "lab/sweep.h"

namespace holdfast::node {

struct LabCommand {
  lab::Grid grid;
  bool ladder = false;  // of the grid's only cell, instead of a sweep
  bool json = false;
  std::string csv;  // file; "-": standard output, instead of the table; empty: none
  std::string svg;  // directory; empty: none
  bool quiet = false;
};

// Returns the exit status. SIGINT and SIGTERM end it after the handshake at hand: what is complete comes out.
int run_lab(const LabCommand& command);

}  // namespace holdfast::node
