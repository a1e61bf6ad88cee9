#include "tcp/reassembly.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/mutant.h"

namespace holdfast::tcp {

std::optional<Reassembly::Range> Reassembly::insert(StreamOffset next, StreamOffset at, Bytes bytes) {
  HF_ASSERT(at >= next);
  if (at >= next + limit_) return std::nullopt;
  bytes = bytes.first(std::min<std::size_t>(bytes.size(), (next + limit_) - at));
  if (bytes.empty()) return std::nullopt;
  const StreamOffset end = at + bytes.size();
  // First range that ends at or behind our begin: the first that can touch us.
  const auto first = std::ranges::lower_bound(ranges_, at, {}, &Range::end);
  const bool touches = first != ranges_.end() && first->begin <= end;
  if (!touches && ranges_.size() >= kMaxRanges) return std::nullopt;

  std::optional<Range> duplicate;
  if (touches) {
    auto overlap = first;
    if (overlap->end == at) ++overlap;  // merely adjacent
    if (overlap != ranges_.end() && overlap->begin < end) {
      duplicate = Range{std::max(overlap->begin, at), std::min(overlap->end, end)};
    }
  }
  copy_missing(at, bytes);
  merge(Range{at, end, ++stamp_});
  return duplicate;
}

void Reassembly::copy_missing(StreamOffset at, Bytes bytes) {
  const StreamOffset end = at + bytes.size();
  StreamOffset from = at;
  for (auto range = std::ranges::lower_bound(ranges_, at, {}, &Range::end); from < end; ++range) {
    const bool last = range == ranges_.end() || range->begin >= end;
    const StreamOffset to = last ? end : std::max(from, range->begin);
    copy(from, bytes.subspan(from - at, to - from));
    if (last) return;
    from = std::max(from, range->end);
  }
}

void Reassembly::copy(StreamOffset at, Bytes bytes) {
  while (!bytes.empty()) {
    const std::size_t in_page = at.value % kPage;
    const std::size_t n = std::min(bytes.size(), kPage - in_page);
    std::memcpy(page_for(at) + in_page, bytes.data(), n);
    at = at + n;
    bytes = bytes.subspan(n);
  }
}

std::byte* Reassembly::page_for(StreamOffset at) {
  const std::uint64_t number = at.value / kPage;
  if (pages_.empty()) first_page_ = number;
  if (number < first_page_) {
    std::vector<Block> below(first_page_ - number);
    pages_.insert(pages_.begin(), std::make_move_iterator(below.begin()), std::make_move_iterator(below.end()));
    first_page_ = number;
  }
  const std::size_t index = number - first_page_;
  if (index >= pages_.size()) pages_.resize(index + 1);
  if (!pages_[index]) pages_[index] = Block(kPage);
  return pages_[index].data();
}

void Reassembly::merge(Range added) {
  const auto first = std::ranges::lower_bound(ranges_, added.begin, {}, &Range::end);
  auto last = first;
  for (; last != ranges_.end() && last->begin <= added.end; ++last) {
    added.begin = std::min(added.begin, last->begin);
    added.end = std::max(added.end, last->end);
  }
  if (first == last) {
    ranges_.insert(first, added);
  } else {
    *first = added;
    ranges_.erase(first + 1, last);
  }
}

Bytes Reassembly::front(StreamOffset next) const {
  // Ranges wholly below `next` may still be here: one segment can reach across several.
  const auto range = std::ranges::upper_bound(ranges_, next, {}, &Range::end);
  if (range == ranges_.end() || range->begin > next) return {};
  const StreamOffset from = HF_MUTANT(kReassemblyKeepsOverlap) ? range->begin : next;
  const std::size_t in_page = from.value % kPage;
  const std::size_t n = std::min<std::size_t>(range->end - from, kPage - in_page);
  const Block& page = pages_[from.value / kPage - first_page_];
  HF_ASSERT(page);
  return Bytes(page.data() + in_page, n);
}

void Reassembly::drop_below(StreamOffset next) {
  if (ranges_.empty()) return;
  const auto keep = std::ranges::upper_bound(ranges_, next, {}, &Range::end);
  ranges_.erase(ranges_.begin(), keep);
  if (ranges_.empty()) {
    return clear();
  }
  ranges_.front().begin = std::max(ranges_.front().begin, next);
  const std::uint64_t page = ranges_.front().begin.value / kPage;
  HF_ASSERT(page >= first_page_);
  pages_.erase(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(page - first_page_));
  first_page_ = page;
}

void Reassembly::clear() {
  std::vector<Range>().swap(ranges_);  // memory too: most connections never come here again
  std::vector<Block>().swap(pages_);
}

std::size_t Reassembly::newest(StreamOffset above, std::span<Range> out) const {
  std::size_t found = 0;
  for (const Range& range : ranges_) {
    if (range.begin <= above) continue;
    std::size_t at = found;
    while (at > 0 && out[at - 1].stamp < range.stamp) --at;
    if (at == out.size()) continue;
    if (found < out.size()) ++found;
    std::copy_backward(out.begin() + static_cast<std::ptrdiff_t>(at),
                       out.begin() + static_cast<std::ptrdiff_t>(found) - 1,
                       out.begin() + static_cast<std::ptrdiff_t>(found));
    out[at] = range;
  }
  return found;
}

std::optional<Reassembly::Range> Reassembly::containing(StreamOffset begin, StreamOffset end) const {
  const auto range = std::ranges::lower_bound(ranges_, end, {}, &Range::end);
  if (range == ranges_.end() || range->begin > begin) return std::nullopt;
  return *range;
}

}  // namespace holdfast::tcp
