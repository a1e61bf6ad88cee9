#include "lab/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "lab/chart.h"
#include "lab/words.h"

namespace holdfast::lab {
namespace {

constexpr std::size_t kInitiator = 0, kResponder = 1;

// A value of a cell for a plot; nothing where it has none.
using Value = std::function<std::optional<double>(const Cell&)>;

class Plotter {
 public:
  Plotter(const Grid& grid, const std::vector<Cell>& cells) : grid_(grid), cells_(cells) {}

  std::vector<Picture> all() const {
    if (cells_.empty()) return {};
    std::vector<Picture> pictures;
    pictures.push_back({"time.svg", draw(time())});
    pictures.push_back({"segments.svg", draw(segments())});
    pictures.push_back({"half-open.svg", draw(half_open())});
    if (std::ranges::any_of(cells_, [](const Cell& cell) { return cell.failed() > 0; })) {
      pictures.push_back({"failures.svg", draw(failures())});
    }
    if (std::ranges::any_of(grid_.delay, [](Duration d) { return d > Duration::zero(); })) {
      pictures.push_back({"round-trip.svg", draw(round_trip())});
      pictures.push_back({"time-out.svg", draw(time_out())});
    }
    if (grid_.common.initiator_stores || grid_.common.responder_stores) {
      pictures.push_back({"copies.svg", draw(copies())});
    }
    return pictures;
  }

 private:
  Chart chart(std::string title, std::string subtitle, std::string y_label) const {
    Chart result;
    result.title = std::move(title);
    result.subtitle = std::move(subtitle);
    result.x_label = "segments of the handshake, N (logarithmic)";
    result.y_label = std::move(y_label);
    for (const std::uint8_t n : grid_.ways) result.x_ticks.push_back(n);
    return result;
  }

  std::string storage_text(Duration latency) const {
    const bool any = grid_.common.initiator_stores || grid_.common.responder_stores;
    return any ? "storage " + milliseconds_text(latency) : std::string("nothing stored");
  }

  std::string path_text(Duration delay, Duration storage) const {
    return fmt::format("one way {}, {}", milliseconds_text(delay), storage_text(storage));
  }

  // Of the cells with these conditions, by ways.
  Series series(Duration delay, Duration storage, std::uint32_t loss, const Value& value) const {
    Series result;
    for (const Cell& cell : cells_) {
      const Conditions& c = cell.conditions;
      if (c.delay != delay || c.storage != storage || c.loss != loss) continue;
      if (const auto y = value(cell)) result.points.emplace_back(c.ways, *y);
    }
    return result;
  }

  // A panel a path and storage, a colour a loss rate.
  void by_loss(Chart& chart, const Value& solid, const Value& dashed) const {
    for (const Duration storage : grid_.storage) {
      for (const Duration delay : grid_.delay) {
        Panel& panel = chart.panels.emplace_back();
        panel.title = path_text(delay, storage);
        for (std::size_t i = 0; i < grid_.loss.size(); ++i) {
          for (const bool is_dashed : {true, false}) {
            const Value& value = is_dashed ? dashed : solid;
            if (!value) continue;
            Series line = series(delay, storage, grid_.loss[i], value);
            line.colour = i;
            line.dashed = is_dashed;
            if (!line.points.empty()) panel.series.push_back(std::move(line));
          }
        }
      }
    }
    chart.columns = grid_.delay.size() > 1 ? std::min<std::size_t>(grid_.delay.size(), 3)
                                           : std::min<std::size_t>(grid_.storage.size(), 2);
    for (const std::uint32_t loss : grid_.loss) chart.colours.push_back("loss " + percent_text(loss));
  }

  std::string runs_text() const { return fmt::format("{} runs a point, seed {}", grid_.runs, grid_.seed); }

  Chart time() const {
    Chart result = chart("How long a handshake takes",
                         "From connect() until both sides are ESTABLISHED; " + runs_text(), "time, ms (logarithmic)");
    result.log_y = true;
    const auto of = [](double Distribution::* which) {
      return [which](const Cell& cell) -> std::optional<double> {
        if (cell.established == 0 || cell.time_ms.*which <= 0) return std::nullopt;
        return cell.time_ms.*which;
      };
    };
    by_loss(result, of(&Distribution::p50), of(&Distribution::p99));
    result.solid = "median";
    result.dashed = "99th percentile";
    std::size_t at = 0;
    for ([[maybe_unused]] const Duration storage : grid_.storage) {
      for (const Duration delay : grid_.delay) {
        Series bound{.points = {}, .reference = true};
        for (const std::uint8_t n : grid_.ways) bound.points.emplace_back(n, n * in_milliseconds(delay));
        if (delay > Duration::zero()) result.panels[at].series.insert(result.panels[at].series.begin(), bound);
        ++at;
      }
    }
    result.reference = "N one-way delays";
    return result;
  }

  Chart segments() const {
    Chart result =
        chart("What a handshake sends", "Segments until both sides are ESTABLISHED, lost ones included; " + runs_text(),
              "segments beyond N, mean");
    by_loss(result,
            [](const Cell& cell) -> std::optional<double> {
              if (cell.established == 0) return std::nullopt;
              return cell.segments.mean - cell.conditions.ways;
            },
            {});
    return result;
  }

  Chart half_open() const {
    Chart result = chart("How long one side is ESTABLISHED and the other not",
                         "Where nobody sends data; " + runs_text(), "time, ms (logarithmic)");
    result.log_y = true;
    const auto of = [](double Distribution::* which) {
      return [which](const Cell& cell) -> std::optional<double> {
        if (cell.half_open_ms.count == 0 || cell.half_open_ms.*which <= 0) return std::nullopt;
        return cell.half_open_ms.*which;
      };
    };
    by_loss(result, of(&Distribution::p50), of(&Distribution::p99));
    result.solid = "median";
    result.dashed = "99th percentile";
    return result;
  }

  Chart failures() const {
    Chart result = chart("How a handshake ends where it ends badly", "Of all runs; " + runs_text(), "runs, %");
    by_loss(
        result, [](const Cell& cell) { return std::optional(100.0 * cell.failed() / cell.runs); },
        [](const Cell& cell) { return std::optional(100.0 * cell.lasting / cell.runs); });
    result.solid = "no connection";
    result.dashed = "one side ESTABLISHED for ever";
    return result;
  }

  // A panel a side and path, a colour a storage latency; without loss, or with the least there is.
  Chart by_storage(Chart result, const Value (&solid)[2], const Value (&dashed)[2]) const {
    for (const Duration delay : grid_.delay) {
      if (delay <= Duration::zero()) continue;
      for (const std::size_t side : {kInitiator, kResponder}) {
        Panel& panel = result.panels.emplace_back();
        panel.title =
            fmt::format("{}, one way {}", side == kInitiator ? "initiator" : "responder", milliseconds_text(delay));
        for (std::size_t i = 0; i < grid_.storage.size(); ++i) {
          for (const bool is_dashed : {true, false}) {
            const Value& value = (is_dashed ? dashed : solid)[side];
            if (!value) continue;
            Series line = series(delay, grid_.storage[i], least_loss(), value);
            line.colour = i;
            line.dashed = is_dashed;
            panel.series.push_back(std::move(line));
          }
        }
      }
    }
    result.columns = 2;
    for (const Duration storage : grid_.storage) result.colours.push_back(storage_text(storage));
    return result;
  }

  std::uint32_t least_loss() const { return *std::ranges::min_element(grid_.loss); }

  std::string when_text() const {
    std::string text = "When both sides are ESTABLISHED; ";
    if (grid_.common.jitter > Duration::zero())
      text += fmt::format("jitter up to {}, ", milliseconds_text(grid_.common.jitter));
    return text + fmt::format("loss {}; {}", percent_text(least_loss()), runs_text());
  }

  Chart round_trip() const {
    const auto of = [](std::size_t side, double Distribution::* which) -> Value {
      return [side, which](const Cell& cell) -> std::optional<double> {
        return cell.srtt_error[side].count > 0 ? std::optional(cell.srtt_error[side].*which) : std::nullopt;
      };
    };
    Chart result = by_storage(
        chart("How far off the smoothed round-trip time is", when_text(), "error of SRTT, % of the round trip"),
        {of(kInitiator, &Distribution::p50), of(kResponder, &Distribution::p50)},
        {of(kInitiator, &Distribution::p99), of(kResponder, &Distribution::p99)});
    result.solid = "median";
    result.dashed = "99th percentile";
    return result;
  }

  Chart time_out() const {
    const auto of = [](std::size_t side) -> Value {
      return [side](const Cell& cell) -> std::optional<double> {
        return cell.rto[side].count > 0 ? std::optional(cell.rto[side].p50) : std::nullopt;
      };
    };
    Chart result = by_storage(
        chart("How long the first retransmission time-out is", when_text(), "median RTO, % of the round trip"),
        {of(kInitiator), of(kResponder)}, {});
    for (Panel& panel : result.panels) {
      Series truth{.points = {}, .reference = true};
      for (const std::uint8_t n : grid_.ways) truth.points.emplace_back(n, 100);
      panel.series.insert(panel.series.begin(), std::move(truth));
    }
    result.reference = "the round trip";
    return result;
  }

  // What was asked for does not depend on the path: the cells without loss tell, or those with the least.
  Chart copies() const {
    const std::uint32_t loss = least_loss();
    Chart result =
        chart("What a handshake certifies",
              fmt::format(
                  "Copies of the connection's record that the side's last step tells of, in the worst run; loss {}; {}",
                  percent_text(loss), runs_text()),
              "copies");
    for (const Duration storage : grid_.storage) {
      Panel& panel = result.panels.emplace_back();
      panel.title = path_text(grid_.delay.front(), storage);
      for (const Side side : {Side::kInitiator, Side::kResponder}) {
        const auto i = static_cast<std::size_t>(side);
        if (!grid_.common.stores(side)) continue;
        Series asked = series(grid_.delay.front(), storage, loss, [side](const Cell& cell) {
          return std::optional<double>(cell.conditions.most_asked(side));
        });
        asked.dashed = true;
        Series certified = series(grid_.delay.front(), storage, loss, [i](const Cell& cell) -> std::optional<double> {
          if (cell.established == 0) return std::nullopt;
          return cell.certified[i];
        });
        asked.colour = certified.colour = i;
        panel.series.push_back(std::move(asked));
        panel.series.push_back(std::move(certified));
      }
    }
    result.columns = std::min<std::size_t>(grid_.storage.size(), 2);
    result.colours = {"initiator", "responder"};
    result.solid = "certified";
    result.dashed = "asked for";
    return result;
  }

  const Grid& grid_;
  const std::vector<Cell>& cells_;
};

}  // namespace

std::vector<Picture> plots(const Grid& grid, const std::vector<Cell>& cells) { return Plotter(grid, cells).all(); }

}  // namespace holdfast::lab
