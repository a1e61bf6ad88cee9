#include "node/lab_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "log/format.h"
#include "node/help.h"
#include "node/values.h"

namespace holdfast::node {
namespace {

// Each list may have so many values, and all together so many runs.
constexpr std::size_t kMaxValues = 16;
constexpr std::uint64_t kMaxRuns = 10'000'000;
constexpr std::uint32_t kMaxLossPercent = 95;
constexpr Duration kMaxDelay = std::chrono::seconds(10);

std::unexpected<Error> usage(const char* flag, std::string_view text, std::string_view why) {
  return fail(Error::Kind::kUsage, fmt::format("--{} {}: {}", flag, text, why));
}

// "A,B,C"; calls `take` for each, which says what is wrong with it.
Result<void> each(const char* flag, const std::string& text,
                  const std::function<Parsed<void>(std::string_view)>& take) {
  std::string_view rest = text;
  for (bool more = true; more;) {
    const auto comma = rest.find(',');
    more = comma != std::string_view::npos;
    const auto word = rest.substr(0, comma);
    if (auto taken = take(word); !taken) return usage(flag, text, fmt::format("'{}' {}", word, taken.error()));
    if (more) rest.remove_prefix(comma + 1);
  }
  return {};
}

// "8" or "5..16"
Parsed<void> parse_ways_range(std::string_view word, std::set<std::uint8_t>& all) {
  const auto dots = word.find("..");
  const auto low = parse_number(word.substr(0, dots), wire::kMinWays, wire::kMaxWays);
  const auto high =
      dots == std::string_view::npos ? low : parse_number(word.substr(dots + 2), wire::kMinWays, wire::kMaxWays);
  if (!low || !high || *low > *high) return std::unexpected("must be a number from 3 to 74, or a range, as in 5..8");
  for (auto n = *low; n <= *high; ++n) all.insert(static_cast<std::uint8_t>(n));
  return {};
}

// "0", "1%", "0.25%": parts of a million.
Parsed<std::uint32_t> parse_loss(std::string_view word) {
  constexpr auto kWrong = "must be 0, or per cent, as in 1% or 0.25% (four decimals at most; up to 95%)";
  if (word == "0") return 0U;
  if (!word.ends_with('%')) return std::unexpected(kWrong);
  word.remove_suffix(1);
  const auto point = word.find('.');
  const auto whole = parse_number(word.substr(0, point), 0, kMaxLossPercent);
  if (!whole) return std::unexpected(kWrong);
  std::uint64_t parts = *whole * 10'000;
  if (point != std::string_view::npos) {
    std::string decimals(word.substr(point + 1));
    if (decimals.empty() || decimals.size() > 4) return std::unexpected(kWrong);
    decimals.resize(4, '0');
    const auto fraction = parse_number(decimals, 0, 9999);
    if (!fraction) return std::unexpected(kWrong);
    parts += *fraction;
  }
  if (parts > kMaxLossPercent * 10'000ULL) return std::unexpected(kWrong);
  return static_cast<std::uint32_t>(parts);
}

Parsed<Duration> parse_time(std::string_view word) { return parse_duration(word, Duration::zero(), kMaxDelay); }

template <class T, class Parse>
Result<void> list(const char* flag, const std::string& text, const Parse& parse, std::vector<T>& into) {
  if (text.empty()) return {};
  into.clear();
  auto taken = each(flag, text, [&](std::string_view word) -> Parsed<void> {
    auto value = parse(word);
    if (!value) return std::unexpected(value.error());
    if (std::ranges::find(into, *value) == into.end()) into.push_back(*value);
    return {};
  });
  if (!taken) return taken;
  if (into.size() > kMaxValues) return usage(flag, text, fmt::format("are more than {} values", kMaxValues));
  return {};
}

template <class T, class Parse>
Result<void> one(const char* flag, const std::string& text, const Parse& parse, T& into) {
  if (text.empty()) return {};
  auto value = parse(text);
  if (!value) return usage(flag, text, value.error());
  into = static_cast<T>(*value);
  return {};
}

auto number(std::uint64_t low, std::uint64_t high) {
  return [low, high](std::string_view text) { return parse_number(text, low, high); };
}

}  // namespace

void LabFlags::add_to(CLI::App& app) {
  app.require_subcommand(1);
  handshake_ = app.add_subcommand(
      "handshake", "Handshakes of 3 to 74 ways between two simulated nodes: what they take, and what they give");
  const auto option = [this](const char* flag, std::string& value, const char* help, const char* type,
                             const char* group) {
    handshake_->add_option(flag, value, help)->type_name(type)->group(group);
  };
  constexpr auto kUnder = "Under which conditions (lists with commas: every combination is measured)";
  option("--ways", ways_, "Numbers of ways, and ranges of them (default 3,4,5,8,16,32)", "N,LOW..HIGH,...", kUnder);
  option("--loss", loss_, "Of each segment (default 0,1%,5%; of a ladder 0)", "P%,...", kUnder);
  option("--delay", delay_, "Of the path, one way (default 50ms; of a ladder 20ms)", "TIME,...", kUnder);
  option("--jitter", jitter_, "Added to each segment's delay, from 0 to this; segments keep their order (default 0)",
         "TIME", kUnder);
  option("--storage-latency", storage_,
         "How long a write takes, and up to a quarter more (default 0,5ms; of a ladder 5ms)", "TIME,...", kUnder);
  option("--directories", directories_,
         "Storage directories of each side (default: as many as the N asks for, as far as a log can have them)", "R",
         kUnder);
  option("--stored-on", stored_on_, "W: what is stored is on so many of them (default 1)", "W", kUnder);
  option("--volatile", stores_nothing_, "Who stores nothing: initiator, responder or both", "WHO", kUnder);
  option(
      "--policy", policy_,
      "Of both sides: strict resets a peer that holds fewer copies than a step asks for, best-effort goes on (default: "
      "strict for the initiator, best-effort for the responder)",
      "P", kUnder);
  option("--roll-call-timeout", roll_call_timeout_, "How long a step waits for its copies (default 1s)", "TIME",
         kUnder);
  option("--runs", runs_, "Handshakes for each combination (default 300)", "N", "How");
  option("--seed", seed_, "Equal seeds give equal results (default 1)", "N", "How");
  option("--ladder", ladder_,
         "The sequence diagram of one handshake instead, 130 columns wide; each list must have one value then, or none",
         "N", "How");
  handshake_->add_flag("--json", command_.json, "For programs, on standard output")
      ->disable_flag_override()
      ->group("What comes out");
  option("--csv", command_.csv,
         "One line for each combination, to this file; -: to standard output, instead of the table", "FILE",
         "What comes out");
  option("--svg", command_.svg,
         "Drawings, to files in this directory, which is made where it does not exist, like those above it", "DIR",
         "What comes out");
  handshake_->add_flag("--quiet", command_.quiet, "No progress bar")->disable_flag_override()->group("What comes out");
  handshake_->footer(help::kLabHandshake);
}

Result<LabCommand> LabFlags::finish() {
  if (auto done = no_empty_values(); !done) return std::unexpected(done.error());
  for (const auto part : {&LabFlags::paths, &LabFlags::storage, &LabFlags::handshakes, &LabFlags::the_ladder}) {
    if (auto done = (this->*part)(); !done) return std::unexpected(done.error());
  }
  if (auto done = output(); !done) return std::unexpected(done.error());
  return command_;
}

// A flag that is given must say something: an empty shell variable is not "the default".
Result<void> LabFlags::no_empty_values() const {
  for (const CLI::Option* option : handshake_->get_options()) {
    if (std::ranges::find(option->results(), "") != option->results().end()) {
      return fail(Error::Kind::kUsage,
                  fmt::format("{} '': is empty: give a value, or leave it out", option->get_name()));
    }
  }
  return {};
}

Result<void> LabFlags::paths() {
  lab::Grid& grid = command_.grid;
  if (!ladder_.empty()) {  // one of each
    grid.loss = {0};
    grid.delay = {std::chrono::milliseconds(20)};
    grid.storage = {std::chrono::milliseconds(5)};
  }
  if (auto done = list("loss", loss_, parse_loss, grid.loss); !done) return done;
  if (auto done = list("delay", delay_, parse_time, grid.delay); !done) return done;
  return one("jitter", jitter_, parse_time, grid.common.jitter);
}

Result<void> LabFlags::storage() {
  lab::Grid& grid = command_.grid;
  lab::Conditions& common = grid.common;
  if (auto done = list("storage-latency", storage_, parse_time, grid.storage); !done) return done;
  if (auto done = one("directories", directories_, number(1, log::kMaxReplicas), common.directories); !done)
    return done;
  if (auto done = one("stored-on", stored_on_, number(1, log::kMaxReplicas), common.stored_on); !done) return done;
  if (common.directories != 0 && common.stored_on > common.directories) {
    return usage("stored-on", stored_on_, fmt::format("there are only {} --directories", common.directories));
  }
  if (stores_nothing_.empty()) return {};
  if (stores_nothing_ != "initiator" && stores_nothing_ != "responder" && stores_nothing_ != "both") {
    return usage("volatile", stores_nothing_, "must be initiator, responder or both");
  }
  common.initiator_stores = stores_nothing_ == "responder";
  common.responder_stores = stores_nothing_ == "initiator";
  if (stores_nothing_ == "both" && storage_.empty()) grid.storage = {Duration::zero()};
  return {};
}

Result<void> LabFlags::handshakes() {
  lab::Grid& grid = command_.grid;
  if (!policy_.empty() && policy_ != "strict" && policy_ != "best-effort") {
    return usage("policy", policy_, "must be strict or best-effort");
  }
  if (!policy_.empty()) {
    grid.common.policy = policy_ == "strict" ? lab::Policy::kStrict : lab::Policy::kBestEffort;
  }
  if (auto done = one("roll-call-timeout", roll_call_timeout_, parse_time, grid.common.roll_call_timeout); !done)
    return done;
  if (auto done = one("runs", runs_, number(1, 100'000), grid.runs); !done) return done;
  if (auto done = one("seed", seed_, number(0, ~std::uint64_t{0}), grid.seed); !done) return done;
  if (!ways_.empty()) {
    std::set<std::uint8_t> all;
    auto taken = each("ways", ways_, [&](std::string_view word) { return parse_ways_range(word, all); });
    if (!taken) return taken;
    grid.ways.assign(all.begin(), all.end());
  }
  const std::uint64_t total =
      std::uint64_t{grid.ways.size()} * grid.loss.size() * grid.delay.size() * grid.storage.size() * grid.runs;
  if (total > kMaxRuns) {
    return fail(
        Error::Kind::kUsage,
        fmt::format("these are {} handshakes, {} at most: give fewer --runs, or shorter lists", total, kMaxRuns));
  }
  return {};
}

Result<void> LabFlags::the_ladder() {
  if (ladder_.empty()) return {};
  lab::Grid& grid = command_.grid;
  std::uint8_t ways = 0;
  if (auto done = one("ladder", ladder_, number(wire::kMinWays, wire::kMaxWays), ways); !done) return done;
  grid.ways = {ways};
  if (!ways_.empty()) return usage("ladder", ladder_, "is of one number of ways: leave out --ways");
  if (!runs_.empty()) return usage("ladder", ladder_, "is of one handshake: leave out --runs; --seed gives another");
  if (command_.json || !command_.csv.empty())
    return usage("ladder", ladder_, "is text or SVG: leave out --json and --csv");
  for (const auto& [flag, values] : {std::pair{"loss", grid.loss.size()}, std::pair{"delay", grid.delay.size()},
                                     std::pair{"storage-latency", grid.storage.size()}}) {
    if (values > 1) return usage("ladder", ladder_, fmt::format("is of one handshake: give --{} one value", flag));
  }
  command_.ladder = true;
  return {};
}

Result<void> LabFlags::output() const {
  if (command_.json && command_.csv == "-")
    return usage("csv", "-", "is standard output, and so is --json: give a file");
  if (command_.svg == "-") return usage("svg", "-", "is not a directory: the drawings are several files");
  return {};
}

}  // namespace holdfast::node
