// How numbers are spread: counts in steps of an eighth, so that a median is right to an eighth, in a fixed room.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace holdfast::log {

class Spread {
 public:
  void add(std::uint64_t value) {
    ++counts_[step_of(value)];
    ++count_;
    largest_ = std::max(largest_, value);
  }
  void clear() { *this = Spread(); }
  std::uint64_t count() const { return count_; }
  std::uint64_t largest() const { return largest_; }
  // The least number of the step in which the middle one lies; 0 where there is none.
  std::uint64_t median() const {
    std::uint64_t seen = 0;
    for (std::size_t step = 0; step < counts_.size(); ++step) {
      seen += counts_[step];
      if (2 * seen > count_) return begin_of(step);
    }
    return 0;
  }

 private:
  static constexpr unsigned kParts = 8, kPartBits = 3;
  static constexpr std::size_t kSteps = kParts * 62;

  static std::size_t step_of(std::uint64_t value) {
    if (value < kParts) return static_cast<std::size_t>(value);
    const unsigned octave = static_cast<unsigned>(std::bit_width(value)) - 1 - kPartBits;
    return kParts * (octave + 1) + ((value >> octave) - kParts);
  }
  static std::uint64_t begin_of(std::size_t step) {
    if (step < kParts) return step;
    return (kParts + step % kParts) << (step / kParts - 1);
  }

  std::array<std::uint32_t, kSteps> counts_{};
  std::uint64_t count_ = 0, largest_ = 0;
};

}  // namespace holdfast::log
