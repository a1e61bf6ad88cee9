#include "location/absent.h"

#include <algorithm>

namespace holdfast::location {

std::size_t Absent::poll(std::span<Completion> out) {
  const std::size_t count = std::min(out.size(), finished_.size());
  for (std::size_t i = 0; i < count; ++i) out[i] = {finished_[i], reason_};
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

}  // namespace holdfast::location
