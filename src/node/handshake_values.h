// N-way handshakes (docs/handshake.md) as people write them and read about them.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
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
// Of a service, one after the other: "ways=5..8", "policy=strict", "roll-call-timeout=1s". Each once, and what says how
// an N-way handshake is to be only where there is one.
class WaysOptions {
 public:
  explicit WaysOptions(tcp::WaysConfig& ways) : ways_(ways) {}
  Parsed<void> take(std::string_view option);
  Parsed<void> check() const;  // after the last one

 private:
  tcp::WaysConfig& ways_;
  std::set<std::string, std::less<>> given_;
};

// Whose settings an explanation names.
enum class Side : std::uint8_t {
  kSend,     // flags of `holdfast send`, which is the initiator
  kService,  // options of a service, which is the responder
};

// Why it failed, with the numbers and what to do; empty where it did not.
std::string explain_failure(const tcp::WaysReport& report, Side side = Side::kSend);
// The same as one word, which stays the same; empty where it did not fail.
std::string_view failure_word(const tcp::WaysReport& report);
// "8 ways: 2 copies certified, the peer certified 3"
std::string describe(const tcp::WaysReport& report);

}  // namespace holdfast::node
