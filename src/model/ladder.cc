#include "model/ladder.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace holdfast::model {
namespace {

std::string_view to_string(tcp::Ways::Phase phase) {
  using Phase = tcp::Ways::Phase;
  switch (phase) {
    case Phase::kOpening:
      return "opening";
    case Phase::kStoring:
      return "storing";
    case Phase::kCalling:
      return "counting";
    case Phase::kWaiting:
      return "waiting";
    case Phase::kProving:
      return "proving";
    case Phase::kDone:
      return "done";
    case Phase::kPlain:
      return "plain";
    case Phase::kFailed:
      return "failed";
  }
  return "";
}

std::string_view to_string(tcp::CloseReason reason) {
  switch (reason) {
    case tcp::CloseReason::kNormal:
      return "";
    case tcp::CloseReason::kPeerReset:
      return ": reset";
    case tcp::CloseReason::kTimeout:
      return ": timed out";
    case tcp::CloseReason::kAborted:
      return ": aborted";
    case tcp::CloseReason::kRefused:
      return ": refused";
    case tcp::CloseReason::kHandshakeRefused:
      return ": no agreement";
    case tcp::CloseReason::kTooFewCopies:
      return ": too few copies";
    case tcp::CloseReason::kHandshakeStopped:
      return ": not answered";
    case tcp::CloseReason::kOvertaken:  // no other connection there
      break;
  }
  return "";
}

std::string describe(const Side& s) {
  if (s.closed()) {
    if (s.reason == tcp::CloseReason::kNormal && !s.initiator) return s.incarnations > 0 ? "LISTEN again" : "LISTEN";
    return fmt::format("CLOSED{}", to_string(s.reason));
  }
  std::string text(tcp::to_string(s.state));
  if (s.ways) {
    text += fmt::format(" {}", to_string(s.ways->phase()));
    if (s.ways->sent() != 0) text += fmt::format(" <{}", s.ways->sent());
    if (s.ways->received() != 0) text += fmt::format(" >{}", s.ways->received());
    text += fmt::format(" of {}", s.ways->ways());
  } else if (s.established()) {
    text += fmt::format(" after {} ways", s.settled);
  }
  if (s.incarnations > 1) text += fmt::format(", #{}", s.incarnations);
  return text;
}

std::string describe(const World& world, const Outcome& o) {
  const auto& old = world.old_messages();
  std::string text;
  switch (o.kind) {
    case EventKind::kOpen:
      text = "the user opens";
      break;
    case EventKind::kDeliver:
      text = fmt::format("{}[{}] arrives", std::find(old.begin(), old.end(), o.message) != old.end() ? "very old " : "",
                         to_string(world.message(o.message)));
      break;
    case EventKind::kStrip:
      text = fmt::format("[{}] arrives without option", to_string(world.message(o.message)));
      break;
    case EventKind::kWrite:
      text = world.side(o.before).closed() ? "the end is stored" : "the record is stored";
      break;
    case EventKind::kCopies:
      text = "copies have come";
      break;
    case EventKind::kLate:
      text = "the roll call is over, a copy short";
      break;
    case EventKind::kTimeout:
      text = "time-out";
      break;
    case EventKind::kSpeak:
      text = "the user speaks";
      break;
    case EventKind::kAbort:
      text = "the user aborts";
      break;
    case EventKind::kCheckpoint:
      text = "checkpoint";
      break;
    case EventKind::kCrash:
      text = world.side(o.before).writing == 0
                 ? "crash and restart"
                 : fmt::format("crash and restart, {} of {} writes done", o.landed, world.side(o.before).writing);
      break;
  }
  for (std::uint8_t i = 0; i < o.sent_count; ++i) {
    text += fmt::format("{} [{}]", i == 0 ? "; sends" : ",", to_string(world.message(o.sent[i])));
  }
  return text;
}

// What was sent and never delivered, where nothing else happened, says nothing.
void drop_idle(const World& world, std::vector<OutcomeId>& path, std::size_t& fair_from) {
  std::vector<MessageId> delivered;
  std::vector<OutcomeId> kept;
  std::size_t fair = fair_from;
  for (std::size_t i = path.size(); i-- > 0;) {
    const Outcome& o = world.outcome(path[i]);
    const auto counts = [&](MessageId id) {
      return std::find(delivered.begin(), delivered.end(), id) != delivered.end();
    };
    const bool idle =
        i < fair_from && o.before == o.after && std::none_of(o.sent.begin(), o.sent.begin() + o.sent_count, counts);
    if (idle) {
      --fair;
      continue;
    }
    kept.push_back(path[i]);
    if (o.kind == EventKind::kDeliver || o.kind == EventKind::kStrip) delivered.push_back(o.message);
  }
  std::reverse(kept.begin(), kept.end());
  path = std::move(kept);
  fair_from = fair;
}

}  // namespace

std::string ladder(const World& world, std::vector<OutcomeId> path, std::size_t fair_from,
                   const std::optional<Message>& forged) {
  drop_idle(world, path, fair_from);
  std::string text;
  fmt::format_to(std::back_inserter(text), "      {:<34} |  {:<58} |  {}\n", "initiator", "what happens", "responder");
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (i == fair_from) text += "      -- from here on the channel is fair --\n";
    const Outcome& o = world.outcome(path[i]);
    const std::string event = describe(world, o);
    const std::string state = describe(world.side(o.after));
    fmt::format_to(std::back_inserter(text), "{:>4}  {:<34} {}  {:<58} {}  {}\n", i + 1, o.at_initiator ? state : "",
                   o.at_initiator ? "<" : "|", event, o.at_initiator ? "|" : ">", o.at_initiator ? "" : state);
  }
  if (forged) {
    fmt::format_to(std::back_inserter(text), "   +  a segment that nobody sent is believed by the {}: [{}]\n",
                   forged->from_initiator ? "responder" : "initiator", to_string(*forged));
  }
  return text;
}

}  // namespace holdfast::model
