#include "lab/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "lab/svg.h"

namespace holdfast::lab {
namespace {

struct Look {
  std::string_view colour;
  Mark mark;
};
constexpr std::array kLooks{Look{colour::kBlue, Mark::kCircle},    Look{colour::kRed, Mark::kSquare},
                            Look{colour::kGreen, Mark::kTriangle}, Look{colour::kPurple, Mark::kDiamond},
                            Look{colour::kOrange, Mark::kCircle},  Look{colour::kSky, Mark::kSquare}};
const Look& look(std::size_t number) { return kLooks[number % kLooks.size()]; }

constexpr double kPanelWidth = 400, kWidePanel = 640, kPanelHeight = 250;
constexpr double kLeft = 78, kRight = 18, kAbove = 30, kBelow = 42;  // around a panel's plot
constexpr double kTop = 66, kLegendLine = 24, kBottom = 16;          // title; legend; below it
constexpr double kMargin = 14;
constexpr double kSample = 32;  // of a line, in the legend
// Those drawn first are larger, so that one under another still shows.
constexpr double mark_size(std::size_t number) { return number >= 3 ? 6.0 : 12.0 - 2.5 * static_cast<double>(number); }
constexpr std::string_view kDashes = "6 4", kDots = "2 3";

// The vertical axis: from a value to a height above the plot's lower edge, and what is written beside it.
class Axis {
 public:
  explicit Axis(const Chart& chart) : log_(chart.log_y) {
    double low = INFINITY, high = -INFINITY;
    for (const Panel& panel : chart.panels) {
      for (const Series& series : panel.series) {
        for (const auto& [x, y] : series.points) {
          if (log_ && y <= 0) continue;
          low = std::min(low, y);
          high = std::max(high, y);
        }
      }
    }
    if (low > high) low = high = 1;
    log_ ? decades(low, high) : even(low, high);
  }

  // In 0..1.
  double place(double value) const {
    const double v = log_ ? std::log10(std::max(value, std::pow(10, low_))) : value;
    return std::clamp((v - low_) / (high_ - low_), 0.0, 1.0);
  }
  const std::vector<double>& ticks() const { return ticks_; }

 private:
  void decades(double low, double high) {
    low_ = std::floor(std::log10(low) * 3) / 3;
    high_ = std::ceil(std::log10(high) * 3) / 3;
    if (high_ - low_ < 1) {
      low_ = std::floor(low_);
      high_ = std::max(std::ceil(high_), low_ + 1);
    }
    const bool many = high_ - low_ > 3;
    for (int decade = static_cast<int>(std::floor(low_)); decade <= static_cast<int>(std::ceil(high_)); ++decade) {
      for (const double factor : many ? std::vector<double>{1} : std::vector<double>{1, 2, 5}) {
        const double value = factor * std::pow(10, decade);
        const double at = std::log10(value);
        if (at >= low_ - 1e-9 && at <= high_ + 1e-9) ticks_.push_back(value);
      }
    }
  }

  void even(double low, double high) {
    low = std::min(low, 0.0);
    if (high <= low) high = low + 1;
    const double rough = (high - low) / 5;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    double step = power;
    for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
      step = factor * power;
      if (step >= rough) break;
    }
    low_ = std::floor(low / step) * step;
    high_ = std::ceil(high / step - 1e-9) * step;
    for (double value = low_; value <= high_ + step / 2; value += step) ticks_.push_back(value);
  }

  bool log_;
  double low_ = 0, high_ = 1;  // of the logarithm, where that is drawn
  std::vector<double> ticks_;
};

class Drawing {
 public:
  explicit Drawing(const Chart& chart)
      : chart_(chart),
        axis_(chart),
        rows_((chart.panels.size() + chart.columns - 1) / chart.columns),
        panel_width_(chart.columns == 1 ? kWidePanel : kPanelWidth),
        legend_(legend_entries()),
        svg_(width(), height()) {}

  std::string draw() {
    svg_.text(kMargin, 26, chart_.title, {.size = 17, .bold = true});
    svg_.text(kMargin, 46, chart_.subtitle, {.size = 12, .colour = colour::kSoft});
    for (std::size_t i = 0; i < chart_.panels.size(); ++i) {
      panel(chart_.panels[i],
            kMargin + static_cast<double>(i % chart_.columns) * (kLeft + panel_width_ + kRight) + kLeft,
            kTop + static_cast<double>(i / chart_.columns) * (kAbove + kPanelHeight + kBelow) + kAbove);
    }
    legend();
    return svg_.finish();
  }

 private:
  double width() const { return 2 * kMargin + static_cast<double>(chart_.columns) * (kLeft + panel_width_ + kRight); }
  double height() const { return legend_top() + (legend_.back().row + 1) * kLegendLine + kBottom; }
  double legend_top() const { return kTop + static_cast<double>(rows_) * (kAbove + kPanelHeight + kBelow) + 8; }

  double x_place(double x) const {
    const double low = std::log(chart_.x_ticks.front()), high = std::log(chart_.x_ticks.back());
    return high > low ? 0.03 + 0.94 * (std::log(x) - low) / (high - low) : 0.5;
  }

  void panel(const Panel& panel, double left, double top) {
    const double bottom = top + kPanelHeight, right = left + panel_width_;
    for (const double tick : axis_.ticks()) {
      const double y = bottom - axis_.place(tick) * kPanelHeight;
      svg_.line(left, y, right, y, {.colour = colour::kGrid, .width = 1, .dashes = {}});
      svg_.text(left - 7, y + 4, fmt::format("{:.10g}", std::abs(tick) < 1e-9 ? 0 : tick),
                {.size = 11, .anchor = "end"});
    }
    double last = -INFINITY;
    for (const double tick : chart_.x_ticks) {
      const double x = left + x_place(tick) * panel_width_;
      svg_.line(x, bottom, x, bottom + 4, {.colour = colour::kSoft, .width = 1, .dashes = {}});
      if (x - last < 20) continue;  // no room for its number
      svg_.text(x, bottom + 19, fmt::format("{:g}", tick), {.size = 11, .anchor = "middle"});
      last = x;
    }
    svg_.line(left, bottom, right, bottom, {.colour = colour::kSoft, .width = 1, .dashes = {}});
    svg_.line(left, top, left, bottom, {.colour = colour::kSoft, .width = 1, .dashes = {}});
    svg_.text(left, top - 9, panel.title, {.size = 12.5, .bold = true});
    svg_.text(left + panel_width_ / 2, bottom + 36, chart_.x_label, {.size = 12, .anchor = "middle"});
    svg_.text(left - 58, top + kPanelHeight / 2, chart_.y_label, {.size = 12, .anchor = "middle", .rotate = -90});
    for (const Series& series : panel.series) plot(series, left, bottom);
  }

  void plot(const Series& series, double left, double bottom) {
    std::string points;
    for (const auto& [x, y] : series.points) {
      points += fmt::format("{:.1f},{:.1f} ", left + x_place(x) * panel_width_, bottom - axis_.place(y) * kPanelHeight);
    }
    if (series.reference) return svg_.polyline(points, {.colour = colour::kSoft, .width = 1.2, .dashes = kDots});
    const Look& how = look(series.colour);
    svg_.polyline(points, {.colour = how.colour, .width = 2, .dashes = series.dashed ? kDashes : std::string_view{}});
    for (const auto& [x, y] : series.points) {
      svg_.mark(how.mark, left + x_place(x) * panel_width_, bottom - axis_.place(y) * kPanelHeight,
                mark_size(series.colour), how.colour);
    }
  }

  struct Entry {
    std::string text;
    Svg::Stroke stroke;
    std::optional<std::size_t> mark;  // of which colour
    double x = 0;
    int row = 0;
  };

  // In as many rows as their width takes.
  std::vector<Entry> legend_entries() const {
    std::vector<Entry> entries;
    for (std::size_t i = 0; i < chart_.colours.size(); ++i) {
      entries.push_back({chart_.colours[i], {.colour = look(i).colour, .width = 2, .dashes = {}}, i});
    }
    if (!chart_.solid.empty())
      entries.push_back({chart_.solid, {.colour = colour::kInk, .width = 2, .dashes = {}}, {}});
    if (!chart_.dashed.empty())
      entries.push_back({chart_.dashed, {.colour = colour::kInk, .width = 2, .dashes = kDashes}, {}});
    if (!chart_.reference.empty()) {
      entries.push_back({chart_.reference, {.colour = colour::kSoft, .width = 1.2, .dashes = kDots}, {}});
    }
    double x = kMargin + kLeft;
    int row = 0;
    for (Entry& entry : entries) {
      const double takes = kSample + 7.4 * static_cast<double>(entry.text.size()) + 26;
      if (x + takes > width() && x > kMargin + kLeft) {
        x = kMargin + kLeft;
        ++row;
      }
      entry.x = x;
      entry.row = row;
      x += takes;
    }
    return entries;
  }

  void legend() {
    for (const Entry& entry : legend_) {
      const double y = legend_top() + (entry.row + 0.5) * kLegendLine;
      svg_.line(entry.x, y, entry.x + 26, y, entry.stroke);
      if (entry.mark)
        svg_.mark(look(*entry.mark).mark, entry.x + 13, y, mark_size(*entry.mark), look(*entry.mark).colour);
      svg_.text(entry.x + kSample, y + 4, entry.text, {.size = 12});
    }
  }

  const Chart& chart_;
  Axis axis_;
  std::size_t rows_;
  double panel_width_;
  std::vector<Entry> legend_;  // never empty: a chart has colours
  Svg svg_;                    // last: its size depends on all of the above
};

}  // namespace

std::string draw(const Chart& chart) {
  if (chart.panels.empty() || chart.x_ticks.empty() || chart.colours.empty()) return {};
  return Drawing(chart).draw();
}

}  // namespace holdfast::lab
