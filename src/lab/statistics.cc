#include "lab/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace holdfast::lab {
namespace {

double percentile(const std::vector<double>& sorted, double part) {
  const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

}  // namespace

Distribution distribution(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  Distribution result;
  result.count = values.size();
  result.mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  result.p50 = percentile(values, 0.5);
  result.p99 = percentile(values, 0.99);
  result.max = values.back();
  return result;
}

}  // namespace holdfast::lab
