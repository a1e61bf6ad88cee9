// Bytes that arrived above a gap. They lie in pages at their stream offset, so overlaps cost nothing: a byte that is
// held already keeps its first value (no "last writer wins" for an attacker). Bounded: nothing further than `limit`
// above the gap, and at most kMaxRanges separate ranges; what does not fit is dropped and the peer sends it again.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/units.h"
#include "tcp/block_pool.h"
#include "wire/tcp.h"

namespace holdfast::tcp {

class Reassembly {
 public:
  static constexpr std::size_t kPage = 16384;
  static constexpr std::size_t kMaxRanges = 256;

  struct Range {
    StreamOffset begin, end;
    std::uint32_t stamp = 0;  // higher: changed later
    friend bool operator==(const Range&, const Range&) = default;
  };

  explicit Reassembly(std::uint32_t limit) : limit_(limit) {}

  bool empty() const { return ranges_.empty(); }
  // Takes bytes that begin at `at` >= `next`, the first byte not handed on (in CONFIRMING it need not be missing).
  // Returns the first part that was held already (RFC 2883).
  std::optional<Range> insert(StreamOffset next, StreamOffset at, Bytes bytes);
  // Held bytes that begin at `next`, as far as they are contiguous in memory; empty where `next` is missing.
  Bytes front(StreamOffset next) const;
  // Everything below `next` has been handed on.
  void drop_below(StreamOffset next);
  // Forgets all that is held.
  void clear();

  // For SACK: up to `count` ranges, the one changed last first (RFC 2018 section 4). Those up to `above` are left out.
  std::vector<Range>::const_iterator begin() const { return ranges_.begin(); }
  std::vector<Range>::const_iterator end() const { return ranges_.end(); }
  std::size_t newest(StreamOffset above, std::span<Range> out) const;
  // The range that holds [begin, end), if one does.
  std::optional<Range> containing(StreamOffset begin, StreamOffset end) const;

 private:
  void copy_missing(StreamOffset at, Bytes bytes);
  void copy(StreamOffset at, Bytes bytes);
  void merge(Range added);
  std::byte* page_for(StreamOffset at);

  std::vector<Range> ranges_;  // sorted, disjoint, not adjacent
  std::vector<Block> pages_;   // pages_[i] holds offsets from (first_page_ + i) * kPage; may be empty
  std::uint64_t first_page_ = 0;
  std::uint32_t limit_;
  std::uint32_t stamp_ = 0;
};

}  // namespace holdfast::tcp
