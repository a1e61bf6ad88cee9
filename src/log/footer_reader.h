// Footers as they are found at a location. One that does not end where the chain does is void: `last_lsn`, where the
// caller knows it.
#pragma once

#include <optional>

#include "log/segment_index.h"
#include "log/source.h"

namespace holdfast::log {

std::optional<SegmentIndex::Trailer> find_trailer(Source& source, const LogKey& key, SegmentNumber segment, Epoch epoch,
                                                  std::optional<Lsn> last_lsn = std::nullopt);
std::optional<SegmentIndex> read_footer(Source& source, const LogKey& key, SegmentNumber segment, Epoch epoch,
                                        Lsn last_lsn);

}  // namespace holdfast::log
