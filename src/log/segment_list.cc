#include "log/segment_list.h"

#include <algorithm>

#include "log/footer_reader.h"

namespace holdfast::log {
namespace {

// A batch of this epoch follows there: whoever wrote the footer adopted less than a later recovery did.
bool goes_on(const Chain& chain, const ChainSegment& segment, const SegmentIndex::Trailer& trailer) {
  return std::ranges::any_of(chain.sources(), [&](Source* source) {
    const auto header = source->header_at({segment.number, trailer.data_end}, false);
    return header && header->epoch == segment.epoch && header->lsn == trailer.last_lsn + 1;
  });
}

// Where the footers say that a segment ends which its epoch has left behind.
Lsn last_by_footer(const Chain& chain, const LogKey& key, const ChainSegment& segment) {
  Lsn last;
  for (Source* source : chain.sources()) {
    const auto trailer = find_trailer(*source, key, segment.number, segment.epoch);
    if (trailer && !goes_on(chain, segment, *trailer)) last = std::max(last, trailer->last_lsn);
  }
  return last;
}

}  // namespace

std::vector<ChainSegment> list_segments(const Chain& chain, const LogKey& key) {
  std::vector<ChainSegment> all;
  for (const EpochRun& run : chain.runs()) {
    const SegmentNumber end = run.closed ? run.end_segment : chain.top().at.segment;
    for (SegmentNumber number = run.first_segment; number <= end; number = number + 1) {
      const auto header = chain.first_header(number, run.epoch);
      const bool ends_run = run.closed && number == end;
      all.push_back(
          {number, run.epoch, header ? header->lsn : Lsn{}, header.has_value(), ends_run ? run.end_lsn : Lsn{}});
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    ChainSegment& segment = all[i];
    const bool left = i + 1 < all.size() && all[i + 1].epoch == segment.epoch;
    if (left && all[i + 1].known_first) segment.last = Lsn{all[i + 1].first.value - 1};
    if (left && segment.last == Lsn{}) segment.last = last_by_footer(chain, key, segment);
    if (segment.first == Lsn{} && i > 0) segment.first = std::max(all[i - 1].first, all[i - 1].last) + 1;
  }
  return all;
}

}  // namespace holdfast::log
