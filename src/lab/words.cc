#include "lab/words.h"

#include <fmt/format.h>

namespace holdfast::lab {

double in_milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

std::string milliseconds_text(Duration duration) { return fmt::format("{:g} ms", in_milliseconds(duration)); }

std::string time_text(double milliseconds) {
  if (milliseconds >= 600'000) return fmt::format("{:.0f} min", milliseconds / 60'000);
  if (milliseconds >= 100'000) return fmt::format("{:.0f} s", milliseconds / 1000);
  if (milliseconds >= 10'000) return fmt::format("{:.1f} s", milliseconds / 1000);
  if (milliseconds >= 1000) return fmt::format("{:.2f} s", milliseconds / 1000);
  if (milliseconds >= 100) return fmt::format("{:.0f} ms", milliseconds);
  return fmt::format("{:.1f} ms", milliseconds);
}

std::string percent_text(std::uint32_t parts_of_a_million) {
  return fmt::format("{:g} %", static_cast<double>(parts_of_a_million) / 10'000);
}

std::string share_text(unsigned part, unsigned whole) {
  if (part == 0 || whole == 0) return "0 %";
  const double share = 100.0 * part / whole;
  return share < 1 ? fmt::format("{:.2g} %", share) : fmt::format("{:.3g} %", share);
}

}  // namespace holdfast::lab
