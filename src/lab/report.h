// A sweep's results as text: for people, for spreadsheets, for programs.
#pragma once

#include <string>
#include <vector>

#include "lab/sweep.h"

namespace holdfast::lab {

// A table for each path and storage, with a legend behind the last.
std::string table(const Grid& grid, const std::vector<Cell>& cells);
// RFC 4180 (lines end with LF), one line a cell; times in milliseconds.
std::string csv(const std::vector<Cell>& cells);
// One object; "cells" holds one object a cell, with the CSV's names as keys.
std::string json(const Grid& grid, const std::vector<Cell>& cells);

}  // namespace holdfast::lab
