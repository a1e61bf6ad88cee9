// What was read of segments, and is about to be: recovery goes through the end of the log twice, from front to back.
//
// Pure; the owner asks for the pieces and brings what comes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/units.h"

namespace holdfast::location::rados {

class ReadAhead {
 public:
  static constexpr std::size_t kPiece = 1U << 20;  // bytes
  static constexpr std::size_t kAhead = 6;         // pieces asked for beyond the one that is needed
  static constexpr std::size_t kMost = 48;         // pieces kept

  struct Piece {
    SegmentNumber segment;
    std::uint64_t index = 0;  // its offset is index * kPiece
    auto operator<=>(const Piece&) const = default;
  };

  // Neither here nor asked for.
  bool lacks(const Piece& piece) const { return !pieces_.contains(piece); }
  // `question` is told with the answer: one that was asked for before the piece was forgotten is none.
  void asked_for(const Piece& piece, std::uint64_t question) {
    if (pieces_.size() >= kMost) drop_oldest();
    pieces_[piece] = {std::nullopt, ++uses_, question};
  }
  // Bytes of a piece, or none where it could not be read: it is forgotten.
  void came(const Piece& piece, std::uint64_t question, std::optional<std::vector<std::byte>> bytes) {
    const auto found = pieces_.find(piece);
    if (found == pieces_.end() || found->second.question != question) return;
    if (bytes) {
      found->second.bytes = std::move(bytes);
    } else {
      pieces_.erase(found);
    }
  }
  // Null where it has not come.
  const std::vector<std::byte>* find(const Piece& piece) {
    const auto found = pieces_.find(piece);
    if (found == pieces_.end() || !found->second.bytes) return nullptr;
    found->second.used = ++uses_;
    return &*found->second.bytes;
  }
  // The segment changes.
  void forget(SegmentNumber segment) {
    std::erase_if(pieces_, [segment](const auto& entry) { return entry.first.segment == segment; });
  }
  void forget(SegmentNumber segment, std::uint64_t offset, std::size_t size) {
    for (std::uint64_t index = offset / kPiece; index * kPiece < offset + size; ++index)
      pieces_.erase({segment, index});
  }
  void clear() { pieces_.clear(); }

 private:
  struct Kept {
    std::optional<std::vector<std::byte>> bytes;
    std::uint64_t used = 0;
    std::uint64_t question = 0;
  };
  void drop_oldest() {
    auto oldest = pieces_.begin();
    for (auto at = pieces_.begin(); at != pieces_.end(); ++at) {
      if (at->second.used < oldest->second.used) oldest = at;
    }
    pieces_.erase(oldest);
  }

  std::map<Piece, Kept> pieces_;
  std::uint64_t uses_ = 0;
};

}  // namespace holdfast::location::rados
