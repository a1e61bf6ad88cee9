// N-way handshakes (docs/handshake.md) as people write them and read about them.
#pragma once

#include <string>
#include <string_view>

#include "node/values.h"
#include "tcp/config.h"
#include "tcp/ways.h"

namespace holdfast::node {

// "8": up to eight ways, three where the peer knows no more; "5..8": at least five. Sets min and max only.
Parsed<void> parse_ways(std::string_view text, tcp::WaysConfig& ways);
// "strict" or "best-effort"
Parsed<void> parse_policy(std::string_view text, tcp::WaysConfig& ways);
// "500ms", "2s": 0s..1h
Parsed<void> parse_roll_call_timeout(std::string_view text, tcp::WaysConfig& ways);
// One of "ways=5..8", "policy=strict", "roll-call-timeout=1s"
Parsed<void> parse_ways_option(std::string_view option, tcp::WaysConfig& ways);

// Why it failed, with the numbers and what to do; empty where it did not.
std::string explain_failure(const tcp::WaysReport& report);
// "8 ways: 2 copies certified, the peer certified 3"
std::string describe(const tcp::WaysReport& report);

}  // namespace holdfast::node
