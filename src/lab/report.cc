#include "lab/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lab/words.h"

namespace holdfast::lab {
namespace {

constexpr std::size_t kInitiator = 0, kResponder = 1;

// ---- For people ----

bool same_path(const Conditions& a, const Conditions& b) {
  return a.storage == b.storage && a.delay == b.delay && a.loss == b.loss;
}

std::string heading(const Grid& grid, const Conditions& c) {
  std::string text = fmt::format("one way {}", milliseconds_text(c.delay));
  if (c.jitter > Duration::zero()) text += fmt::format(" and up to {} more", milliseconds_text(c.jitter));
  text += fmt::format(", loss {}, ", percent_text(c.loss));
  if (!c.initiator_stores && !c.responder_stores) {
    text += "nothing is stored";
  } else {
    text += fmt::format("storage {}", milliseconds_text(c.storage));
    if (!c.initiator_stores) text += " (the initiator stores nothing)";
    if (!c.responder_stores) text += " (the responder stores nothing)";
  }
  return fmt::format("{}: {} run{} each\n", text, grid.runs, grid.runs == 1 ? "" : "s");
}

std::string copies_text(const Cell& cell, Side side) {
  if (cell.conditions.ways <= wire::kMinWays || !cell.conditions.stores(side) || cell.established == 0) return "-";
  return fmt::format("{}/{}", cell.certified[static_cast<std::size_t>(side)], cell.conditions.most_asked(side));
}

std::string percent_of(const Distribution& d, int decimals) {
  if (d.count == 0) return "-";
  return fmt::format("{:.{}f}", d.p50, decimals);
}

constexpr std::string_view kColumns =
    "                time to establish                     re-           half-open                 SRTT off, %    RTO, "
    "% of RTT  "
    "   copies\n"
    "  ways  dirs        p50        p99  segments   bytes  peated  failed        p50        p99  never   init.   resp. "
    "  init.  "
    " resp.  init.  resp.\n";

std::string row(const Cell& cell) {
  const bool any = cell.established > 0;
  const auto when = [](const Distribution& d, double value) {
    return d.count > 0 ? time_text(value) : std::string("-");
  };
  return fmt::format(
      "{:6} {:5} {:>10} {:>10} {:>9} {:>7} {:>7} {:>7} {:>10} {:>10} {:>6} {:>7} {:>7} {:>7} {:>7} {:>6} {:>6}\n",
      cell.conditions.ways, cell.conditions.places(), when(cell.time_ms, cell.time_ms.p50),
      when(cell.time_ms, cell.time_ms.p99), any ? fmt::format("{:.1f}", cell.segments.mean) : "-",
      any ? fmt::format("{:.0f}", cell.bytes.mean) : "-", any ? fmt::format("{:.2f}", cell.repeated.mean) : "-",
      share_text(cell.failed(), cell.runs), when(cell.half_open_ms, cell.half_open_ms.p50),
      when(cell.half_open_ms, cell.half_open_ms.p99), share_text(cell.one_sided, cell.runs),
      percent_of(cell.srtt_error[kInitiator], 1), percent_of(cell.srtt_error[kResponder], 1),
      percent_of(cell.rto[kInitiator], 0), percent_of(cell.rto[kResponder], 0), copies_text(cell, Side::kInitiator),
      copies_text(cell, Side::kResponder));
}

// What the columns of a row can't say.
std::string remarks(const Cell& cell) {
  std::string text;
  const auto say = [&](const std::string& what) {
    text += fmt::format("    {} ways: {}\n", cell.conditions.ways, what);
  };
  for (const auto& [reason, runs] : cell.failures)
    say(fmt::format("{} of {} runs failed: {}", runs, cell.runs, reason));
  if (cell.lasting > 0) {
    say(fmt::format("in {} of {} runs one side is still ESTABLISHED after an hour, without a peer", cell.lasting,
                    cell.runs));
  }
  for (const Side side : {Side::kInitiator, Side::kResponder}) {
    const unsigned runs = cell.short_runs[static_cast<std::size_t>(side)];
    if (runs == 0) continue;
    say(fmt::format("in {} of {} runs the {} said SHORT: fewer copies than a step asks for", runs, cell.established,
                    side == Side::kInitiator ? "initiator" : "responder"));
  }
  return text;
}

constexpr std::string_view kLegend =
    "time: from connect() until both sides are ESTABLISHED. segments, bytes of IP, repeated: until then, means.\n"
    "half-open: how long exactly one side was ESTABLISHED; never: runs in which the other side never was.\n"
    "SRTT off, RTO: medians, against the path's round trip, when both sides are ESTABLISHED.\n"
    "copies: certified at the end in the worst run / asked for by the side's last step.\n";

// ---- For programs ----

using Fields = std::vector<std::pair<std::string, nlohmann::ordered_json>>;

void add(Fields& fields, const std::string& name, const Distribution& d) {
  const bool any = d.count > 0;
  const auto value = [any](double number) { return any ? nlohmann::ordered_json(number) : nlohmann::ordered_json(); };
  fields.emplace_back(name + "_mean", value(d.mean));
  fields.emplace_back(name + "_p50", value(d.p50));
  fields.emplace_back(name + "_p99", value(d.p99));
}

Fields fields_of(const Cell& cell) {
  const Conditions& c = cell.conditions;
  Fields fields{{"ways", c.ways},
                {"loss_percent", c.loss / 10'000.0},
                {"delay_ms", in_milliseconds(c.delay)},
                {"jitter_ms", in_milliseconds(c.jitter)},
                {"storage_ms", in_milliseconds(c.storage)},
                {"directories", c.places()},
                {"stored_on", c.stored_on},
                {"runs", cell.runs},
                {"established", cell.established},
                {"failed", cell.failed()}};
  add(fields, "time_ms", cell.time_ms);
  add(fields, "segments", cell.segments);
  add(fields, "bytes", cell.bytes);
  add(fields, "repeated", cell.repeated);
  add(fields, "half_open_ms", cell.half_open_ms);
  fields.emplace_back("one_sided", cell.one_sided);
  fields.emplace_back("half_open_lasting", cell.lasting);
  for (const Side side : {Side::kInitiator, Side::kResponder}) {
    const auto i = static_cast<std::size_t>(side);
    const std::string who = side == Side::kInitiator ? "initiator" : "responder";
    add(fields, who + "_srtt_error_percent", cell.srtt_error[i]);
    add(fields, who + "_rto_percent", cell.rto[i]);
    fields.emplace_back(who + "_copies_asked", c.stores(side) ? c.most_asked(side) : 0);
    fields.emplace_back(who + "_copies_certified", cell.certified[i]);
    fields.emplace_back(who + "_short_runs", cell.short_runs[i]);
  }
  return fields;
}

}  // namespace

std::string table(const Grid& grid, const std::vector<Cell>& cells) {
  std::string text;
  for (std::size_t i = 0; i < cells.size();) {
    if (i > 0) text += '\n';
    text += heading(grid, cells[i].conditions);
    text += kColumns;
    std::string notes;
    const std::size_t first = i;
    for (; i < cells.size() && same_path(cells[i].conditions, cells[first].conditions); ++i) {
      text += row(cells[i]);
      notes += remarks(cells[i]);
    }
    text += notes;
  }
  if (!cells.empty()) text += fmt::format("\n{}", kLegend);
  return text;
}

std::string csv(const std::vector<Cell>& cells) {
  std::string text;
  for (const Cell& cell : cells) {
    const Fields fields = fields_of(cell);
    if (text.empty()) {
      for (const auto& [name, value] : fields) text += name + (&name == &fields.back().first ? "\n" : ",");
    }
    for (const auto& [name, value] : fields) {
      if (!value.is_null()) text += value.dump();
      text += &name == &fields.back().first ? "\n" : ",";
    }
  }
  return text;
}

std::string json(const Grid& grid, const std::vector<Cell>& cells) {
  nlohmann::ordered_json all;
  all["lab"] = "handshake";
  all["seed"] = grid.seed;
  all["runs"] = grid.runs;
  all["cells"] = nlohmann::ordered_json::array();
  for (const Cell& cell : cells) {
    nlohmann::ordered_json object;
    for (const auto& [name, value] : fields_of(cell)) object[name] = value;
    object["failures"] = cell.failures;
    all["cells"].push_back(std::move(object));
  }
  return all.dump(2) + "\n";
}

}  // namespace holdfast::lab
