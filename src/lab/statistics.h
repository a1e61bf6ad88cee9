// What many numbers come to.
#pragma once

#include <vector>

namespace holdfast::lab {

struct Distribution {
  std::size_t count = 0;
  double mean = 0, p50 = 0, p99 = 0, max = 0;  // 0 where there is nothing
};

// Percentiles by nearest rank: each is one of the values.
Distribution distribution(std::vector<double> values);

}  // namespace holdfast::lab
