#include "node/handshake_values.h"

#include <fmt/format.h>

#include <algorithm>

namespace holdfast::node {
namespace {

std::string counted(unsigned copies) { return fmt::format("{} cop{}", copies, copies == 1 ? "y" : "ies"); }

// What the last step of the one side or the other asks for: one directory a copy.
unsigned directories_for(std::uint8_t ways, bool of_initiator) {
  const bool last_is_its_own = (ways % 2 == 1) == of_initiator;
  return tcp::copies_asked(static_cast<std::uint8_t>(last_is_its_own ? ways : ways - 1));
}

// The other way round: what so many directories are enough for.
unsigned most_ways_with(unsigned directories, bool of_initiator) {
  return std::min<unsigned>(2 * directories + (of_initiator ? 4 : 3), wire::kMaxWays);
}

std::string certified(bool is_volatile, std::uint8_t copies, std::uint8_t asked) {
  if (is_volatile) return "nothing, it is volatile";
  if (copies >= asked) return counted(copies);
  return fmt::format("{} of the {} asked for", counted(copies), asked);
}

}  // namespace

Parsed<void> parse_ways(std::string_view text, tcp::WaysConfig& ways) {
  const auto dots = text.find("..");
  const auto low = dots == std::string_view::npos ? std::string_view("3") : text.substr(0, dots);
  const auto high = dots == std::string_view::npos ? text : text.substr(dots + 2);
  const auto min = parse_number(low, wire::kMinWays, wire::kMaxWays);
  const auto max = parse_number(high, wire::kMinWays, wire::kMaxWays);
  if (!min || !max || *min > *max) {
    return std::unexpected("must be a number of ways from 3 to 74, as in 8, or a range, as in 5..8");
  }
  ways.min = static_cast<std::uint8_t>(*min);
  ways.max = static_cast<std::uint8_t>(*max);
  return {};
}

Parsed<void> parse_policy(std::string_view text, tcp::WaysConfig& ways) {
  if (text != "strict" && text != "best-effort") return std::unexpected("must be strict or best-effort");
  ways.strict = text == "strict";
  return {};
}

Parsed<void> parse_roll_call_timeout(std::string_view text, tcp::WaysConfig& ways) {
  auto timeout = parse_duration(text, Duration::zero(), std::chrono::hours(1));
  if (!timeout) return std::unexpected(timeout.error());
  ways.roll_call_timeout = *timeout;
  return {};
}

Parsed<void> WaysOptions::take(std::string_view option) {
  const auto equals = option.find('=');
  const auto key = option.substr(0, equals);
  const auto value = equals == std::string_view::npos ? std::string_view{} : option.substr(equals + 1);
  Parsed<void> parsed;
  if (key == "ways") {
    parsed = parse_ways(value, ways_);
  } else if (key == "policy") {
    parsed = parse_policy(value, ways_);
  } else if (key == "roll-call-timeout") {
    parsed = parse_roll_call_timeout(value, ways_);
  } else {
    return std::unexpected(
        fmt::format("has an unknown option '{}': there are ways=, policy= and roll-call-timeout=", key));
  }
  if (!parsed) return std::unexpected(fmt::format("has {}={}, which {}", key, value, parsed.error()));
  if (!given_.emplace(key).second) return std::unexpected(fmt::format("has {}= twice: give it once", key));
  return {};
}

Parsed<void> WaysOptions::check() const {
  if (given_.empty() || given_.contains("ways")) return {};
  return std::unexpected(
      fmt::format("has {}= without ways=: three ways ask for no copies; give ways=, or leave it out", *given_.begin()));
}

std::string explain_failure(const tcp::WaysReport& report, Side side) {
  const bool service = side == Side::kService;  // then the peer is the initiator, else we are
  const char* const own_ways = service ? "the service's ways=" : "--ways";
  switch (report.failure) {
    case tcp::WaysFailure::kNone:
      break;
    case tcp::WaysFailure::kPeerWantsMore:
      return fmt::format("the peer requires a handshake of at least {} ways, {} were proposed: raise --ways",
                         report.peer_limit, report.asked);
    case tcp::WaysFailure::kPeerOffersLess:
      if (report.fell_back) {
        return fmt::format(
            "the peer, or something on the way, knows no N-way handshake, and three ways are too few: allow them "
            "(--ways {}), or see why the option does not arrive",
            report.asked);
      }
      return fmt::format("the peer settles for {} ways at most, which is fewer than required: lower --ways",
                         report.peer_limit);
    case tcp::WaysFailure::kTooFewCopies:
      return fmt::format(
          "the peer holds {} of the connection's record where step {} of {} asks for {}: give it more --data "
          "directories ({} for {} ways), see to its storage, lower {} (to {} for {}), or accept that ({})",
          counted(report.peer_copies), report.received, report.ways, report.peer_asked,
          directories_for(report.ways, service), report.ways, own_ways, most_ways_with(report.peer_copies, service),
          counted(report.peer_copies), service ? "policy=best-effort" : "--policy best-effort");
    case tcp::WaysFailure::kStopped:
      return fmt::format("the handshake stopped at step {} of {}: nothing answered it", report.sent, report.ways);
    case tcp::WaysFailure::kReset:
      if (!report.is_volatile && report.copies < report.copies_asked) {
        return fmt::format(
            "the peer gave the handshake up when step {} of {} certified {} of the {} that it asks for: give more "
            "--data directories ({} for {} ways), see to our storage, lower {} (to {} for {}), or have the peer accept "
            "that (policy best-effort)",
            report.sent, report.ways, report.copies, counted(report.copies_asked),
            directories_for(report.ways, !service), report.ways, own_ways, most_ways_with(report.copies, !service),
            counted(report.copies));
      }
      return fmt::format("the peer gave the handshake up, and step {} of {} was our latest: its log may say why",
                         report.sent, report.ways);
  }
  return {};
}

std::string_view failure_word(const tcp::WaysReport& report) {
  switch (report.failure) {
    case tcp::WaysFailure::kNone:
      break;
    case tcp::WaysFailure::kPeerWantsMore:
      return "peer-wants-more";
    case tcp::WaysFailure::kPeerOffersLess:
      return "peer-offers-less";
    case tcp::WaysFailure::kTooFewCopies:
      return "too-few-copies";
    case tcp::WaysFailure::kStopped:
      return "stopped";
    case tcp::WaysFailure::kReset:
      return "reset";
  }
  return {};
}

std::string describe(const tcp::WaysReport& report) {
  if (report.ways <= wire::kMinWays) {
    return fmt::format("3 ways ({} were proposed{})", report.asked,
                       report.fell_back ? ", the other side knows no more" : "");
  }
  return fmt::format("{} ways: certified {}, the peer {}", report.ways,
                     certified(report.is_volatile, report.copies, report.copies_asked),
                     certified(report.peer_volatile, report.peer_copies, report.peer_asked));
}

}  // namespace holdfast::node
