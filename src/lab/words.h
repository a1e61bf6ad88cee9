// Numbers as the lab's tables, plots and ladders write them.
#pragma once

#include <cstdint>
#include <string>

#include "base/units.h"
#include "tcp/connection.h"

namespace holdfast::lab {

double in_milliseconds(Duration duration);
// "0 ms", "0.25 ms", "20 ms", "1500 ms": no digit that says nothing.
std::string milliseconds_text(Duration duration);
// Of a table's cell: three digits that count, in the unit that fits: "20.1 ms", "1.04 s", "3 min".
std::string time_text(double milliseconds);
// "0 %", "0.5 %", "5 %" from parts of a million.
std::string percent_text(std::uint32_t parts_of_a_million);
std::string share_text(unsigned part, unsigned whole);

}  // namespace holdfast::lab
