// What is drawn of a sweep.
#pragma once

#include <string>
#include <vector>

#include "lab/sweep.h"

namespace holdfast::lab {

struct Picture {
  std::string name;  // of a file: "time.svg"
  std::string svg;
};

std::vector<Picture> plots(const Grid& grid, const std::vector<Cell>& cells);

}  // namespace holdfast::lab
