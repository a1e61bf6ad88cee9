#include "lab/ladder.h"

#include <fmt/format.h>

#include <algorithm>

#include "lab/words.h"

namespace holdfast::lab {
namespace {

constexpr std::size_t kBetween = 74;  // columns between the two life lines
constexpr std::size_t kStateWidth = 12;

std::string kind_of(const wire::TcpHeader& header) {
  const wire::TcpFlags& flags = header.flags;
  if (flags.rst) return "RST";
  if (flags.syn) return flags.ack ? "SYN-ACK" : "SYN";
  return "ACK";
}

std::string repeated(std::string_view what, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += what;
  return text;
}

// `label` is ASCII.
std::string arrow(const Passage& passage, const std::string& label) {
  const std::size_t shaft = kBetween - std::min(kBetween - 10, label.size()) - 6;
  const std::string words = " " + label + " ";
  const bool right = passage.from == Side::kInitiator;
  if (!passage.arrived) {
    const std::string gone = repeated("─", shaft / 2);
    const std::string gap = std::string(shaft - shaft / 2, ' ');
    const std::string end = passage.lost ? "╳" : "…";
    return right ? fmt::format("├──{}{}{} {}│", words, gone, end, gap)
                 : fmt::format("│{} {}{}{}──┤", gap, end, gone, words);
  }
  return right ? fmt::format("├──{}{}─▶│", words, repeated("─", shaft))
               : fmt::format("│◀─{}{}──┤", repeated("─", shaft), words);
}

std::string_view name_of(Side side) { return side == Side::kInitiator ? "initiator" : "responder"; }

std::string when_text(Duration when) { return fmt::format("{:.2f} ms", in_milliseconds(when)); }

}  // namespace

std::string label(const Passage& passage) {
  const auto& option = passage.header.options.ways;
  std::string text =
      passage.step != 0 ? fmt::format("{} {}", passage.step, kind_of(passage.header)) : kind_of(passage.header);
  if (option) {
    if (option->is_refused) text += fmt::format("  REFUSED, at least {} ways", option->ways);
    if (option->step == 1 || option->step == 2) text += fmt::format(" N={}", option->ways);
    text += option->is_volatile ? "  VOLATILE"
                                : fmt::format("  {} cop{}", option->copies, option->copies == 1 ? "y" : "ies");
    if (option->is_short) text += " SHORT";
    text += fmt::format("  nonce {:08x}", option->nonce);
    if (option->step > 1) text += fmt::format("  echo {:08x}", option->echo);
  }
  if (passage.repeated) text += "  (again)";
  return text;
}

std::string Ladder::title() const {
  const Conditions& c = conditions;
  std::string text = fmt::format("{}-way handshake: one way {}", c.ways, milliseconds_text(c.delay));
  if (c.jitter > Duration::zero()) text += fmt::format(" and up to {} more", milliseconds_text(c.jitter));
  text += fmt::format(", loss {}", percent_text(c.loss));
  if (c.initiator_stores || c.responder_stores) {
    text += fmt::format(", storage {}, {} director{} each, stored on {}", milliseconds_text(c.storage), c.places(),
                        c.places() == 1 ? "y" : "ies", c.stored_on);
  }
  return text + fmt::format(", seed {}", seed);
}

std::string Ladder::ending() const {
  if (outcome.established()) {
    std::string text = fmt::format("Both sides are ESTABLISHED after {}, with {} segments and {} bytes.",
                                   when_text(outcome.time()), outcome.segments, outcome.bytes);
    if (outcome.lost > 0) text += fmt::format(" {} of them lost, {} repeated.", outcome.lost, outcome.repeated);
    text += fmt::format(" One side alone was for {}.", when_text(outcome.half_open));
    return text;
  }
  std::string text = fmt::format("No connection: {}.", reason());
  if (outcome.lasting) return text + " One side is still ESTABLISHED after an hour, without a peer.";
  if (outcome.one_sided) text += fmt::format(" One side was ESTABLISHED for {}.", when_text(outcome.half_open));
  return text + fmt::format(" It was over after {}.", when_text(outcome.end));
}

std::string Ladder::reason() const {
  std::string text(failure_of(outcome));
  for (const Side side : {Side::kInitiator, Side::kResponder}) {
    const Certificate& certificate = outcome.of(side).certificate;
    if (!conditions.strict(other(side)) || certificate.copies >= certificate.asked) continue;
    return text + fmt::format(": step {} asks the {} for {}, and it certified {}", certificate.step, name_of(side),
                              certificate.asked, certificate.copies);
  }
  if (outcome.of(Side::kInitiator).closed != tcp::CloseReason::kHandshakeStopped &&
      outcome.of(Side::kInitiator).closed != tcp::CloseReason::kTimeout) {
    return text;
  }
  unsigned latest = 0;
  for (const Passage& passage : outcome.passages) {
    if (passage.from == Side::kInitiator) latest = std::max(latest, passage.step);
  }
  return text + fmt::format(": nothing answered the initiator's step {}", latest);
}

Stage Ladder::stage_at(Side side, Duration when) const {
  Stage stage = Stage::kNone;
  for (const Change& change : outcome.changes) {
    if (change.side == side && change.when <= when) stage = change.stage;
  }
  return stage;
}

std::string Ladder::text() const {
  constexpr std::size_t kEdge = 12 + 2 + kStateWidth + 1;  // time, state
  std::vector<std::string> rows;
  std::vector<const Passage*> shown_in;
  const auto side_text = [&](Side side, std::optional<Duration> when) {
    const std::string state = when ? std::string(to_string(stage_at(side, *when))) : "";
    const std::string time = when ? when_text(*when) : "";
    return side == Side::kInitiator ? fmt::format("{:>12}  {:<{}} ", time, state, kStateWidth)
                                    : fmt::format(" {:<{}}  {:>12}", state, kStateWidth, time);
  };
  for (const Passage& passage : outcome.passages) {
    const bool right = passage.from == Side::kInitiator;
    const auto left_time = right ? std::optional(passage.sent) : passage.arrived;
    const auto right_time = right ? passage.arrived : std::optional(passage.sent);
    rows.push_back(side_text(Side::kInitiator, left_time) + arrow(passage, label(passage)) +
                   side_text(Side::kResponder, right_time));
    shown_in.push_back(&passage);
  }
  // Changes that no segment of their moment shows: in front of what comes later on their side.
  for (const Change& change : outcome.changes) {
    const bool shown = std::ranges::any_of(outcome.passages, [&](const Passage& passage) {
      return passage.from == change.side ? passage.sent == change.when : passage.arrived == change.when;
    });
    if (shown) continue;
    const bool left = change.side == Side::kInitiator;
    const auto later = [&](const Passage* passage) {
      if (passage == nullptr) return false;
      const auto when = passage->from == change.side ? std::optional(passage->sent) : passage->arrived;
      return when && *when > change.when;
    };
    const auto at = std::ranges::find_if(shown_in, later) - shown_in.begin();
    shown_in.insert(shown_in.begin() + at, nullptr);
    rows.insert(rows.begin() + at, side_text(Side::kInitiator, left ? std::optional(change.when) : std::nullopt) + "│" +
                                       std::string(kBetween, ' ') + "│" +
                                       side_text(Side::kResponder, left ? std::nullopt : std::optional(change.when)));
  }
  std::string result = title() + "\n\n";
  result += fmt::format("{:>{}}{:<{}}{}\n", "initiator", kEdge, "", kBetween + 3, "responder");
  for (std::string& line : rows) {
    line.erase(line.find_last_not_of(' ') + 1);
    result += line + "\n";
  }
  return result + "\n" + ending() + "\n";
}

}  // namespace holdfast::lab
