#include "tcp/receive.h"

#include <array>

#include "base/mutant.h"

namespace holdfast::tcp {

wire::SackBlocks Receiver::sack_blocks(std::uint8_t most) const {
  wire::SackBlocks blocks;
  // An ACK inside a range that was SACKed is taken for reneging: only once the gap's own edge is acknowledged.
  const bool above = all_released() || HF_MUTANT(kSackAboveUnreleased);
  const auto seq = [this](StreamOffset at) { return to_seq(irs, at); };
  if (dsack) {
    const std::int64_t begin = to_position(irs, dsack->left, next);
    const std::int64_t end = to_position(irs, dsack->right, next);
    if (above || end <= static_cast<std::int64_t>(released.value)) blocks.push(*dsack);
    // RFC 2883 section 4: a duplicate inside held data is followed by the block that contains it.
    if (above && begin > static_cast<std::int64_t>(next.value) && !reassembly.empty()) {
      const auto around = reassembly.containing(StreamOffset{static_cast<std::uint64_t>(begin)},
                                                StreamOffset{static_cast<std::uint64_t>(end)});
      if (around) blocks.push({seq(around->begin), seq(around->end)});
    }
  }
  if (reassembly.empty() || !above) return blocks;
  std::array<Reassembly::Range, wire::kMaxSackBlocks> newest;
  const std::size_t n = reassembly.newest(next, newest);
  for (std::size_t i = 0; i < n; ++i) {
    const wire::SackBlock block{seq(newest[i].begin), seq(newest[i].end)};
    if (blocks.count < most && (blocks.count < 2 || block != blocks.blocks[1])) blocks.push(block);
  }
  return blocks;
}

}  // namespace holdfast::tcp
