// Equal values have equal numbers: states of the whole are made of numbers.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace holdfast::model {

// Open addressing over the hashes; values stay where they are.
template <class T>
class Interner {
 public:
  Interner() : slots_(1024, 0) {}

  struct Result {
    std::uint32_t id;
    bool is_new;
  };

  Result intern(const T& value) {
    const std::size_t hash = hash_of(value);
    std::size_t at = hash & (slots_.size() - 1);
    while (slots_[at] != 0) {
      const std::uint32_t id = slots_[at] - 1;
      if (hashes_[id] == hash && values_[id] == value) return {id, false};
      at = (at + 1) & (slots_.size() - 1);
    }
    const auto id = static_cast<std::uint32_t>(values_.size());
    values_.push_back(value);
    hashes_.push_back(hash);
    slots_[at] = id + 1;
    if (values_.size() * 2 > slots_.size()) grow();
    return {id, true};
  }

  const T& operator[](std::uint32_t id) const { return values_[id]; }
  std::size_t size() const { return values_.size(); }

 private:
  void grow() {
    slots_.assign(slots_.size() * 2, 0);
    for (std::uint32_t id = 0; id < hashes_.size(); ++id) {
      std::size_t at = hashes_[id] & (slots_.size() - 1);
      while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = id + 1;
    }
  }

  std::deque<T> values_;
  std::vector<std::size_t> hashes_;
  std::vector<std::uint32_t> slots_;  // id + 1; 0: free
};

}  // namespace holdfast::model
