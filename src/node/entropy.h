// Random bits from the operating system.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/units.h"

namespace holdfast::node {

void fill_with_entropy(MutableBytes bytes);

template <std::size_t size>
std::array<std::byte, size> draw_entropy() {
  std::array<std::byte, size> bytes;
  fill_with_entropy(bytes);
  return bytes;
}

std::uint64_t draw_seed();

}  // namespace holdfast::node
