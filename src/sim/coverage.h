// Which bytes of a stream have been seen: a set of ranges of offsets.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>

namespace holdfast::sim {

class Coverage {
 public:
  void clear() { ranges_.clear(); }

  void add(std::uint64_t begin, std::uint64_t end) {
    if (begin >= end) return;
    auto at = ranges_.upper_bound(begin);
    if (at != ranges_.begin() && std::prev(at)->second >= begin) --at;
    while (at != ranges_.end() && at->first <= end) {
      begin = std::min(begin, at->first);
      end = std::max(end, at->second);
      at = ranges_.erase(at);
    }
    ranges_[begin] = end;
  }

  void add(const Coverage& other) {
    for (const auto& [begin, end] : other.ranges_) add(begin, end);
  }

  bool contains(std::uint64_t begin, std::uint64_t end) const {
    const auto at = ranges_.upper_bound(begin);
    return begin >= end || (at != ranges_.begin() && std::prev(at)->second >= end);
  }

  // The end of the range that `from` lies in; `from` itself where it lies in none.
  std::uint64_t contiguous_from(std::uint64_t from) const {
    const auto at = ranges_.upper_bound(from);
    return at == ranges_.begin() ? from : std::max(from, std::prev(at)->second);
  }

  // Whether `offset` lies inside a range, not at one of its ends.
  bool strictly_inside(std::uint64_t offset) const {
    const auto at = ranges_.lower_bound(offset);
    return at != ranges_.begin() && std::prev(at)->second > offset;
  }

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  // begin -> end, disjoint and not touching
};

}  // namespace holdfast::sim
