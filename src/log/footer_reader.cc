#include "log/footer_reader.h"

namespace holdfast::log {

std::optional<SegmentIndex::Trailer> find_trailer(Source& source, const LogKey& key, SegmentNumber segment, Epoch epoch,
                                                  std::optional<Lsn> last_lsn) {
  const auto block = source.view(segment, key.segment_size - kBlock, kBlock, false);
  if (!block) return std::nullopt;
  const auto trailer = SegmentIndex::decode_trailer(*block, key, segment);
  if (!trailer || trailer->epoch != epoch || (last_lsn && trailer->last_lsn != *last_lsn)) return std::nullopt;
  return trailer;
}

std::optional<SegmentIndex> read_footer(Source& source, const LogKey& key, SegmentNumber segment, Epoch epoch,
                                        Lsn last_lsn) {
  const auto trailer = find_trailer(source, key, segment, epoch, last_lsn);
  if (!trailer) return std::nullopt;
  const auto bytes = source.view(segment, key.segment_size - trailer->size(), trailer->size(), false);
  return bytes ? SegmentIndex::decode(*bytes, *trailer) : std::nullopt;
}

}  // namespace holdfast::log
