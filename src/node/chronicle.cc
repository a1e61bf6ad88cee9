#include "node/chronicle.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "node/handshake_values.h"

namespace holdfast::node {

constexpr Duration kWritesEvery = std::chrono::seconds(10);

std::string counted(std::size_t connections) {
  return fmt::format("{} connection{}", connections, connections == 1 ? "" : "s");
}

void Chronicle::opened(StreamId id, const wire::FourTuple& tuple, stack::ServiceKind) {
  spdlog::debug("stream {} opened: {}", id.value, tuple.to_string());
}

void Chronicle::closed(StreamId id, const wire::FourTuple& tuple, tcp::CloseReason reason) {
  spdlog::debug("stream {} closed: {} (reason {})", id.value, tuple.to_string(), static_cast<int>(reason));
}

void Chronicle::resumed(StreamId id, const wire::FourTuple& tuple, tcp::State state) {
  spdlog::debug("stream {} resumed: {} {}", id.value, tuple.to_string(), tcp::to_string(state));
}

void Chronicle::not_resumed(StreamId id, const wire::FourTuple& tuple, const Error& error) {
  spdlog::error("stream {} from {} cannot go on, its peer waits: {}: give all directories, or mend them, and restart",
                id.value, tuple.peer.to_string(), error.message);
  events_.write("connection-muted", {{"stream", std::to_string(id.value)},
                                     {"peer", json_string(tuple.peer.to_string())},
                                     {"reason", json_string(error.message)}});
}

void Chronicle::handshake(StreamId id, const wire::FourTuple& tuple, const tcp::WaysReport& report) {
  const bool failed = report.failure != tcp::WaysFailure::kNone;
  if (failed) {
    spdlog::warn("stream {} from {}: no connection: {}", id.value, tuple.peer.to_string(),
                 explain_failure(report, Side::kService));
  } else {
    spdlog::info("stream {} from {}: {}", id.value, tuple.peer.to_string(), describe(report));
  }
  events_.write("handshake", {{"stream", std::to_string(id.value)},
                              {"peer", json_string(tuple.peer.to_string())},
                              {"port", std::to_string(tuple.local.port.value)},
                              {"established", json_bool(!failed)},
                              {"reason", failed ? json_string(std::string(failure_word(report))) : "null"},
                              {"ways", std::to_string(report.ways)},
                              {"proposed", std::to_string(report.asked)},
                              {"fell_back", json_bool(report.fell_back)},
                              {"sent", std::to_string(report.sent)},
                              {"received", std::to_string(report.received)},
                              {"volatile", json_bool(report.is_volatile)},
                              {"copies", std::to_string(report.copies)},
                              {"copies_asked", std::to_string(report.copies_asked)},
                              {"peer_volatile", json_bool(report.peer_volatile)},
                              {"peer_copies", std::to_string(report.peer_copies)},
                              {"peer_copies_asked", std::to_string(report.peer_asked)},
                              {"repeated", std::to_string(report.repeated)},
                              {"dropped", std::to_string(report.dropped)}});
}

void Chronicle::ways_refused(const wire::FourTuple& tuple, std::uint8_t proposed, std::uint8_t least) {
  refusals_.note(tuple, proposed, least);
}

void Chronicle::tell_refusals(Time now) {
  const auto news = refusals_.take(now);
  if (!news) return;
  spdlog::warn("{} refused: port {} requires a handshake of at least {} ways, {} proposed {}{}", counted(news->count),
               news->tuple.local.port.value, news->least, news->tuple.peer.to_string(), news->proposed,
               news->count > 1 ? " (the latest)" : "");
  events_.write("ways-refused", {{"count", std::to_string(news->count)},
                                 {"peer", json_string(news->tuple.peer.to_string())},
                                 {"port", std::to_string(news->tuple.local.port.value)},
                                 {"proposed", std::to_string(news->proposed)},
                                 {"minimum", std::to_string(news->least)}});
}

void Chronicle::tell_writes(log::Log& log, std::uint32_t widest_window, Time now) {
  if (now < next_writes_) return;
  if (now != kNever) next_writes_ = now + kWritesEvery;
  const log::WritesReport report = log.take_writes();
  if (report.batches == 0) return;
  const auto ms = [](Duration time) { return fmt::format("{:.3f}", milliseconds(time)); };
  events_.write("writes", {{"batches", std::to_string(report.batches)},
                           {"bytes", std::to_string(report.bytes)},
                           {"median_batch", std::to_string(report.median_batch)},
                           {"largest_batch", std::to_string(report.largest_batch)},
                           {"most_at_once", std::to_string(report.most_at_once)},
                           {"most_bytes_at_once", std::to_string(report.most_bytes_at_once)},
                           {"least_ms", ms(report.least_time)},
                           {"median_ms", ms(report.median_time)},
                           {"longest_ms", ms(report.longest_time)},
                           {"limit", std::to_string(report.limit)},
                           {"limit_bytes", std::to_string(report.limit_bytes)},
                           {"widest_window", std::to_string(widest_window)}});
}

void Chronicle::stalled(bool now) {
  events_.write("stalled", {{"value", json_bool(now)}});
  if (now) {
    spdlog::error("storage stands still: windows are closed, peers wait");
  } else {
    spdlog::warn("storage works again");
  }
}

void Chronicle::full_changed(const std::vector<std::string>& full) {
  events_.write("full", {{"value", json_bool(!full.empty())}});
  if (full.empty()) {
    spdlog::warn("there is room again");
  } else {
    spdlog::error("no room in {}: what was taken is acknowledged, peers wait until there is room",
                  fmt::join(full, ", "));
  }
}

void Chronicle::location_changed(const log::LocationStatus& location, const log::Log& log) {
  if (location.state == log::LocationState::kActive) {
    spdlog::warn("location {} counts again", location.name);
    events_.write("location-active", {{"location", json_string(location.name)}});
    return;
  }
  const bool failed = location.state == log::LocationState::kFailed;
  spdlog::error("location {}: {}{}", failed ? "failed" : "is behind", log::with_name(location.name, location.reason),
                log.quorum_lost() ? "; too few are left: nothing more can be acknowledged" : "; the others carry on");
  events_.write(failed ? "location-failed" : "location-behind",
                {{"location", json_string(location.name)}, {"reason", json_string(location.reason)}});
}

}  // namespace holdfast::node
