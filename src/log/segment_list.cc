#include "log/segment_list.h"

#include <algorithm>

#include "log/footer_reader.h"

namespace holdfast::log {
namespace {

// What a footer says of a segment that its epoch has left behind: there is no other end that it could speak of.
Lsn last_by_footer(const Chain& chain, const LogKey& key, const ChainSegment& segment) {
  for (Source* source : chain.sources()) {
    const auto trailer = find_trailer(*source, key, segment.number, segment.epoch);
    if (trailer) return trailer->last_lsn;
  }
  return {};
}

}  // namespace

std::vector<ChainSegment> list_segments(const Chain& chain, const LogKey& key) {
  std::vector<ChainSegment> all;
  for (const EpochRun& run : chain.runs()) {
    const SegmentNumber end = run.closed ? run.end_segment : chain.top().at.segment;
    for (SegmentNumber number = run.first_segment; number <= end; number = number + 1) {
      const auto header = chain.first_header(number, run.epoch);
      const bool ends_run = run.closed && number == end;
      all.push_back({number, run.epoch, header ? header->lsn : Lsn{}, ends_run ? run.end_lsn : Lsn{}});
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    ChainSegment& segment = all[i];
    const bool left = i + 1 < all.size() && all[i + 1].epoch == segment.epoch;
    if (left && all[i + 1].first != Lsn{}) segment.last = Lsn{all[i + 1].first.value - 1};
    if (left && segment.last == Lsn{}) segment.last = last_by_footer(chain, key, segment);
    if (segment.first == Lsn{} && i > 0) segment.first = std::max(all[i - 1].first, all[i - 1].last) + 1;
  }
  return all;
}

}  // namespace holdfast::log
