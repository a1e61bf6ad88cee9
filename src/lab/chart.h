// Line charts in panels that share their axes, drawn as SVG.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace holdfast::lab {

struct Series {
  std::vector<std::pair<double, double>> points;  // ascending x
  std::size_t colour = 0;                         // in the palette; also chooses the mark
  bool dashed = false;
  bool reference = false;  // a thin grey line without marks: what to compare with
};

struct Panel {
  std::string title;
  std::vector<Series> series;
};

struct Chart {
  std::string title, subtitle;
  std::string x_label, y_label;  // with units
  bool log_y = false;            // else from 0, or from the least value where that is below
  std::vector<double> x_ticks;   // x is logarithmic
  std::vector<Panel> panels;
  std::size_t columns = 1;
  // By colour; and what solid, dashed and grey lines are (empty: not there).
  std::vector<std::string> colours;
  std::string solid, dashed, reference;
};

std::string draw(const Chart& chart);

}  // namespace holdfast::lab
