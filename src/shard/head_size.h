// Where a received frame's payload begins. A link scatters a frame into headers and body *before* it can look at it, so
// the next one's header length has to be guessed; frames of one bulk sender are alike, so the last one's is a good
// guess (54 without TCP options, 66 with timestamps).
#pragma once

#include <cstddef>
#include <optional>

#include "base/units.h"

namespace holdfast::shard {

// Bytes of Ethernet, IPv4 and TCP header in front of a TCP payload; nullopt for frames of another kind, fragments, or
// where the headers do not lie within `head`. A hint: nothing is verified.
std::optional<std::size_t> tcp_header_bytes(Bytes head);

}  // namespace holdfast::shard
