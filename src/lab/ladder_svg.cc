// The ladder as a drawing. Time runs down, and is bent: a gap of a second is not drawn fifty times as long as one of
// twenty milliseconds, so that moments are ordered and near ones are near, and the numbers say when.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "lab/ladder.h"
#include "lab/svg.h"
#include "lab/words.h"

namespace holdfast::lab {
namespace {

constexpr double kWidth = 1080, kTop = 96, kBottom = 64;
constexpr double kLeftLine = 250, kRightLine = kWidth - 250;
// Between two moments at which segments leave or arrive; less in a ladder of very many.
constexpr double kLeast = 30, kMost = 64, kMostOfMany = 40;
constexpr std::size_t kMany = 24;
constexpr double kHead = 9;          // of an arrow
constexpr double kLostAfter = 0.85;  // of the way

class Drawing {
 public:
  explicit Drawing(const Ladder& ladder) : ladder_(ladder), svg_(kWidth, place_moments()) {}

  std::string draw() {
    svg_.text(20, 30, ladder_.title(), {.size = 16, .bold = true});
    svg_.text(20, 52, ladder_.ending(), {.size = 12.5, .colour = colour::kSoft});
    svg_.text(kLeftLine, kTop - 20, "initiator", {.size = 14, .anchor = "middle", .bold = true});
    svg_.text(kRightLine, kTop - 20, "responder", {.size = 14, .anchor = "middle", .bold = true});
    for (const Side side : {Side::kInitiator, Side::kResponder}) life(side);
    for (const Passage& passage : ladder_.outcome.passages) arrow(passage);
    for (const Side side : {Side::kInitiator, Side::kResponder}) states(side);
    legend();
    return svg_.finish();
  }

 private:
  // Returns the height of it all.
  double place_moments() {
    std::set<Duration> moments{Duration::zero()};
    for (const Passage& passage : ladder_.outcome.passages) {
      moments.insert(passage.sent);
      if (passage.arrived) moments.insert(*passage.arrived);
    }
    for (const Change& change : ladder_.outcome.changes) moments.insert(change.when);
    const double most = ladder_.outcome.passages.size() > kMany ? kMostOfMany : kMost;
    double y = kTop;
    Duration before{};
    for (const Duration moment : moments) {
      if (moment > before) y += std::clamp(20 + 10 * std::log2(1 + in_milliseconds(moment - before)), kLeast, most);
      before = moment;
      y_[moment] = y;
    }
    end_ = y + 24;
    return end_ + kBottom;
  }

  double line_of(Side side) const { return side == Side::kInitiator ? kLeftLine : kRightLine; }

  static std::string_view colour_of(Stage stage) {
    switch (stage) {
      case Stage::kConfirming:
        return colour::kOrange;
      case Stage::kEstablished:
        return colour::kGreen;
      default:
        return "#b0b0b0";
    }
  }

  // The line of a side, as wide and as coloured as its state.
  void life(Side side) {
    double from = kTop - 8;
    Stage stage = Stage::kNone;
    const auto piece = [&](double to) {
      const double width = stage == Stage::kEstablished ? 8 : stage == Stage::kConfirming ? 5 : 3;
      svg_.line(line_of(side), from, line_of(side), to, {.colour = colour_of(stage), .width = width, .dashes = {}});
      from = to;
    };
    for (const Change& change : ladder_.outcome.changes) {
      if (change.side != side) continue;
      piece(y_.at(change.when));
      stage = change.stage;
    }
    piece(end_);
  }

  void arrow(const Passage& passage) {
    const bool right = passage.from == Side::kInitiator;
    const double x1 = line_of(passage.from) + (right ? 5 : -5);
    double x2 = line_of(other(passage.from)) + (right ? -6 : 6);
    const double y1 = y_.at(passage.sent);
    double y2 = passage.arrived ? y_.at(*passage.arrived) : y1 + 0.75 * kLeast;
    const std::string_view colour = !passage.arrived ? colour::kRed : right ? colour::kBlue : colour::kPurple;
    if (!passage.arrived) {
      x2 = x1 + kLostAfter * (x2 - x1);
      y2 = y1 + kLostAfter * (y2 - y1);
    }
    const std::string_view dashes = !passage.arrived ? "7 4" : passage.repeated ? "12 3" : "";
    svg_.line(x1, y1, x2, y2, {.colour = colour, .width = 1.8, .dashes = dashes});
    const double angle = std::atan2(y2 - y1, x2 - x1);
    if (passage.arrived) {
      head(x2, y2, angle, colour);
    } else {
      for (const double sign : {-1.0, 1.0}) {
        svg_.line(x2 - 7, y2 - sign * 7, x2 + 7, y2 + sign * 7, {.colour = colour, .width = 2.5, .dashes = {}});
      }
    }
    // Near its sender, so that two that cross do not hide each other's words.
    const double slope = (y2 - y1) / (x2 - x1);
    // … and far enough from it that a line which ends where this one begins is out of the way.
    const double at = x1 + (right ? 100 : -100);
    std::string words = label(passage);
    for (auto gap = words.find("  "); gap != std::string::npos; gap = words.find("  ")) words.replace(gap, 2, " · ");
    if (!passage.arrived) words += passage.lost ? "  LOST" : "  on its way";
    svg_.text(at, y1 + slope * (at - x1) - 5, words,
              {.size = 11,
               .colour = colour::kInk,
               .anchor = right ? "start" : "end",
               .rotate = std::atan(slope) * 180 / M_PI,
               .halo = true});
    times(passage, y1, passage.arrived ? std::optional(y2) : std::nullopt);
  }

  void head(double x, double y, double angle, std::string_view colour) {
    const auto corner = [&](double turn) {
      return fmt::format("{:.1f},{:.1f}", x - kHead * std::cos(angle + turn), y - kHead * std::sin(angle + turn));
    };
    svg_.polygon(fmt::format("{:.1f},{:.1f} {} {}", x, y, corner(0.42), corner(-0.42)), colour);
  }

  void times(const Passage& passage, double sent, std::optional<double> arrived) {
    time(passage.from, passage.sent, sent);
    if (arrived) time(other(passage.from), *passage.arrived, *arrived);
  }

  void time(Side side, Duration when, double y) {
    if (!told_[static_cast<std::size_t>(side)].insert(when).second) return;
    const bool left = side == Side::kInitiator;
    svg_.text(line_of(side) + (left ? -14 : 14), y + 4, fmt::format("{:.2f} ms", in_milliseconds(when)),
              {.size = 11, .colour = colour::kSoft, .anchor = left ? "end" : "start"});
  }

  void states(Side side) {
    const bool left = side == Side::kInitiator;
    for (const Change& change : ladder_.outcome.changes) {
      if (change.side != side || change.stage == Stage::kNone) continue;
      const double y = y_.at(change.when);
      time(side, change.when, y);
      svg_.text(line_of(side) + (left ? -100 : 100), y + 4, to_string(change.stage),
                {.size = 12,
                 .colour = change.stage == Stage::kEstablished ? std::string_view("#00664b") : colour::kInk,
                 .anchor = left ? "end" : "start",
                 .bold = true});
    }
  }

  void legend() {
    const double y = end_ + 34;
    double x = 20;
    const auto entry = [&](std::string_view colour, double width, std::string_view dashes, const std::string& text) {
      svg_.line(x, y, x + 30, y, {.colour = colour, .width = width, .dashes = dashes});
      svg_.text(x + 37, y + 4, text, {.size = 12});
      x += 37 + 7.2 * static_cast<double>(text.size()) + 22;
    };
    entry(colour_of(Stage::kSynSent), 3, {}, "SYN-SENT, SYN-RECEIVED");
    entry(colour_of(Stage::kConfirming), 5, {}, "CONFIRMING");
    entry(colour_of(Stage::kEstablished), 8, {}, "ESTABLISHED");
    const auto& passages = ladder_.outcome.passages;
    if (std::ranges::any_of(passages, &Passage::repeated)) entry(colour::kSoft, 1.8, "12 3", "again");
    if (std::ranges::any_of(passages, &Passage::lost)) entry(colour::kRed, 1.8, "7 4", "lost");
    svg_.text(kWidth - 20, y + 4, "gaps in time are drawn bent: the numbers count",
              {.size = 11, .colour = colour::kSoft, .anchor = "end"});
  }

  const Ladder& ladder_;
  std::map<Duration, double> y_;
  std::array<std::set<Duration>, 2> told_;
  double end_ = 0;
  Svg svg_;  // last: place_moments() comes before
};

}  // namespace

std::string Ladder::svg() const { return Drawing(*this).draw(); }

}  // namespace holdfast::lab
