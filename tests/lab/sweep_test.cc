#include "lab/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "lab/plots.h"
#include "lab/report.h"
#include "xml.h"

namespace holdfast::lab {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Grid small() {
  Grid grid;
  grid.ways = {3, 5};
  grid.loss = {0, 100'000};
  grid.delay = {std::chrono::milliseconds(20)};
  grid.storage = {Duration::zero()};
  grid.runs = 20;
  return grid;
}

std::vector<Cell> measured(const Grid& grid) {
  auto cells = sweep(grid, [](std::uint64_t) { return true; });
  EXPECT_TRUE(cells) << cells.error().message;
  return cells ? *std::move(cells) : std::vector<Cell>{};
}

TEST(Distribution, PercentilesAreByNearestRank) {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  const Distribution d = distribution(values);
  EXPECT_EQ(d.p50, 50);
  EXPECT_EQ(d.p99, 99);
  EXPECT_EQ(d.max, 100);
  EXPECT_EQ(d.mean, 50.5);
  EXPECT_EQ(distribution({7}).p99, 7);
  EXPECT_EQ(distribution({}).count, 0U);
}

TEST(Sweep, MeasuresEveryCombination) {
  const auto cells = measured(small());
  ASSERT_EQ(cells.size(), 4U);
  for (const Cell& cell : cells) {
    EXPECT_EQ(cell.runs, 20U);
    EXPECT_EQ(cell.established, 20U);
    if (cell.conditions.loss == 0) {
      EXPECT_EQ(cell.segments.max, cell.conditions.ways);
      EXPECT_NEAR(cell.time_ms.p50, 20.0 * cell.conditions.ways, 0.001);
      EXPECT_EQ(cell.repeated.max, 0);
    } else {
      EXPECT_GT(cell.segments.mean, cell.conditions.ways);
      EXPECT_GT(cell.time_ms.p99, 1000);  // somebody waited for a time-out
    }
  }
}

TEST(Sweep, ACellIsTheSameInEveryGrid) {
  Grid grid = small();
  const auto all = measured(grid);
  grid.ways = {5};
  grid.loss = {100'000};
  const auto one = measured(grid);
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(csv(one), csv({all[3]}));
  grid.seed = 2;
  EXPECT_NE(csv(one), csv(measured(grid)));
}

TEST(Sweep, EndsWhenAskedToWithWhatIsComplete) {
  const auto cells = sweep(small(), [](std::uint64_t done) { return done < 25; });
  ASSERT_TRUE(cells);
  EXPECT_EQ(cells->size(), 1U);
}

TEST(Report, CsvAndJsonSayTheSame) {
  const Grid grid = small();
  const auto cells = measured(grid);
  const auto parsed = nlohmann::json::parse(json(grid, cells));
  EXPECT_EQ(parsed["lab"], "handshake");
  EXPECT_EQ(parsed["runs"], 20);
  std::istringstream lines(csv(cells));
  const auto split = [](const std::string& line) {
    std::vector<std::string> words(1);
    for (const char c : line) c == ',' ? words.emplace_back() : words.back() += c;
    return words;
  };
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const auto names = split(line);
  for (const auto& object : parsed["cells"]) {
    ASSERT_TRUE(std::getline(lines, line));
    const auto values = split(line);
    ASSERT_EQ(values.size(), names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto& value = object.at(names[i]);
      EXPECT_EQ(values[i], value.is_null() ? "" : value.dump()) << names[i];
    }
  }
  EXPECT_FALSE(std::getline(lines, line));
}

TEST(Report, TheTableTellsWhatFailedAndWhy) {
  Grid grid = small();
  grid.ways = {8};
  grid.loss = {0};
  grid.common.directories = 1;
  const auto cells = measured(grid);
  const std::string text = table(grid, cells);
  EXPECT_THAT(text, HasSubstr("8 ways: 20 of 20 runs failed: too few copies"));
  for (const auto& cell : cells) EXPECT_EQ(cell.failed(), 20U);
  grid.common.policy = Policy::kBestEffort;
  const std::string kinder = table(grid, measured(grid));
  EXPECT_THAT(kinder, Not(HasSubstr("failed:")));
  EXPECT_THAT(kinder, HasSubstr("the responder said SHORT"));
  EXPECT_THAT(kinder, HasSubstr("1/3"));
}

TEST(Plots, AreWellFormedAndNameTheirUnits) {
  const Grid grid = small();
  const auto pictures = plots(grid, measured(grid));
  EXPECT_EQ(pictures.size(), 6U);  // nothing failed
  for (const Picture& picture : pictures) {
    SCOPED_TRACE(picture.name);
    EXPECT_EQ(xml_error(picture.svg), "");
    EXPECT_THAT(picture.svg, HasSubstr("seed 1"));
    EXPECT_THAT(picture.svg, Not(HasSubstr("nan")));
    EXPECT_THAT(picture.svg, Not(HasSubstr("inf")));
  }
  EXPECT_TRUE(plots(grid, {}).empty());
}

}  // namespace
}  // namespace holdfast::lab
