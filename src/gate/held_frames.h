// Frames and resets that wait for a log write. Rare and small, so each is an allocation of its own; bounded in number.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tcp/connection.h"
#include "wire/address.h"
#include "wire/tcp.h"

namespace holdfast::gate {

struct HeldFrame {
  std::vector<std::byte> frame;  // a whole frame; or, where empty:
  wire::FourTuple tuple;         // a segment without payload
  wire::TcpHeader header;
  bool refusal = false;  // leaves only while the tuple is still unknown
};

class HeldFrames {
 public:
  static constexpr std::size_t kMax = 4096;

  // The index, or nullopt when too many are waiting.
  std::optional<std::uint32_t> add(HeldFrame frame) {
    if (!free_.empty()) {
      const std::uint32_t index = free_.back();
      free_.pop_back();
      slots_[index] = std::move(frame);
      return index;
    }
    if (slots_.size() >= kMax) return std::nullopt;
    slots_.push_back(std::move(frame));
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  HeldFrame take(std::uint32_t index) {
    free_.push_back(index);
    return std::move(slots_[index]);
  }

 private:
  std::vector<HeldFrame> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace holdfast::gate
