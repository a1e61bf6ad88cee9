// Resets for segments that no connection takes: RFC 9293 section 3.10.7.1.
#pragma once

#include <optional>

#include "tcp/connection.h"
#include "wire/tcp.h"

namespace holdfast::tcp {

// The answer to a segment for which there is no connection; nothing for a RST. The caller decides whether and when
// it may be said (ARCHITECTURE.md, rule 1).
std::optional<wire::TcpHeader> refusal_for(const SegmentIn& segment);

}  // namespace holdfast::tcp
