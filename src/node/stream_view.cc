#include "node/stream_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "gate/service.h"
#include "node/values.h"

namespace holdfast::node {
namespace {

using tcp::State;

std::string service_name(std::uint8_t service) {
  switch (static_cast<gate::ServiceKind>(service)) {
    case gate::ServiceKind::kStore:
      return "store";
    case gate::ServiceKind::kEcho:
      return "echo";
    case gate::ServiceKind::kClient:
      return "client";
  }
  return fmt::format("kind-{}", service);
}

std::string reason_name(std::uint32_t reason) {
  switch (static_cast<tcp::CloseReason>(reason)) {
    case tcp::CloseReason::kNormal:
      return "both ends finished";
    case tcp::CloseReason::kPeerReset:
      return "reset by the peer";
    case tcp::CloseReason::kTimeout:
      return "timed out";
    case tcp::CloseReason::kAborted:
      return "reset by the node";
    case tcp::CloseReason::kRefused:
      return "refused by the peer";
    case tcp::CloseReason::kHandshakeRefused:
      return "no agreement on the handshake";
    case tcp::CloseReason::kTooFewCopies:
      return "the peer certified too few copies";
    case tcp::CloseReason::kHandshakeStopped:
      return "the handshake stopped";
    case tcp::CloseReason::kOvertaken:
      return "a newer connection took its place";
  }
  return fmt::format("reason {}", reason);
}

// The record says what the state was when it was written; data records behind it have moved it on (RFC 9293 figure 5).
State current_state(const tcp::Snapshot& recorded, const log::StreamInfo& info) {
  State state = recorded.state;
  if (state == State::kSynReceived && info.in.end > recorded.rcv_end) state = State::kEstablished;
  if (info.in.fin && !recorded.rcv_fin) {
    if (state == State::kSynReceived || state == State::kEstablished) state = State::kCloseWait;
    if (state == State::kFinWait1) state = recorded.fin_acked ? State::kTimeWait : State::kClosing;
    if (state == State::kFinWait2) state = State::kTimeWait;
  }
  if (info.out.fin && !recorded.snd_fin) {
    if (state == State::kSynReceived || state == State::kEstablished) state = State::kFinWait1;
    if (state == State::kCloseWait) state = State::kLastAck;
  }
  return state;
}

using Json = nlohmann::ordered_json;

bool trimmed(const log::StreamInfo& info) { return info.in.begin.value > 0 || info.out.begin.value > 0; }

// "20.0 MiB", with where it begins if that is not 0.
std::string stored(const log::StreamRange& range) {
  const std::string end = human_size(range.end.value);
  return range.begin.value == 0 ? end : fmt::format("{}, trimmed to {}", end, range.begin.value);
}

Json to_json(const StreamView& stream) {
  const auto& info = stream.info;
  Json object;
  object["id"] = info.id.value;
  object["service"] = stream.service;
  object["local"] = stream.record ? Json(stream.record->snapshot.tuple.local.to_string()) : Json();
  object["peer"] = stream.record ? Json(stream.record->snapshot.tuple.peer.to_string()) : Json();
  object["state"] = stream.state;
  object["in_bytes"] = info.in.end.value;
  object["out_bytes"] = info.out.end.value;
  object["opened"] = stream.record ? Json(iso_time(stream.record->opened)) : Json();
  object["in_begin"] = info.in.begin.value;
  object["in_finished"] = info.in.fin;
  object["out_begin"] = info.out.begin.value;
  object["out_finished"] = info.out.fin;
  object["trimmed"] = trimmed(info);
  object["consumed"] = info.consumed;
  object["closed_because"] = info.closed ? Json(stream.closed_because) : Json();
  return object;
}

}  // namespace

StreamView view(log::StreamInfo info) {
  StreamView stream;
  stream.state = "UNKNOWN";
  stream.service = "unknown";
  if (auto record = gate::decode_connection_record(info.connection)) {
    stream.record = *record;
    stream.service = service_name(record->service);
    stream.state = tcp::to_string(current_state(record->snapshot, info));
    // Of a live connection all bytes may have been trimmed: its record says how far it is.
    const auto& s = record->snapshot;
    const auto complete = [](log::StreamRange& range, StreamOffset end, bool fin) {
      if (range.begin == range.end && end > range.end) range.begin = range.end = end;
      range.fin = range.fin || (fin && range.end == end);
    };
    complete(info.in, s.rcv_end, s.rcv_fin);
    complete(info.out, s.snd_end, s.snd_fin);
  }
  if (info.closed) {
    stream.state = tcp::to_string(State::kClosed);
    stream.closed_because = reason_name(info.close_reason);
  }
  stream.info = std::move(info);
  return stream;
}

std::string table(const std::vector<StreamView>& streams) {
  constexpr std::size_t kColumns = 8;
  using Row = std::array<std::string, kColumns>;
  std::vector<Row> rows{{"ID", "SERVICE", "LOCAL", "PEER", "STATE", "IN", "OUT", "OPENED"}};
  for (const auto& stream : streams) {
    const auto* record = stream.record ? &*stream.record : nullptr;
    const bool cut_short =
        stream.info.closed && static_cast<tcp::CloseReason>(stream.info.close_reason) != tcp::CloseReason::kNormal;
    const std::string state = cut_short ? fmt::format("{}: {}", stream.state, stream.closed_because) : stream.state;
    rows.push_back({std::to_string(stream.info.id.value), stream.service,
                    record != nullptr ? record->snapshot.tuple.local.to_string() : "-",
                    record != nullptr ? record->snapshot.tuple.peer.to_string() : "-", state, stored(stream.info.in),
                    stored(stream.info.out), record != nullptr ? iso_time(record->opened) : "-"});
  }
  Row::size_type column = 0;
  std::array<std::size_t, kColumns> widths{};
  for (const auto& row : rows) {
    for (column = 0; column < kColumns; ++column) widths[column] = std::max(widths[column], row[column].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (column = 0; column + 1 < kColumns; ++column) text += fmt::format("{:<{}}  ", row[column], widths[column]);
    text += row[column] + "\n";
  }
  return text;
}

std::string details(const StreamView& stream) {
  std::string text;
  const auto line = [&](const char* name, const std::string& value) { text += fmt::format("{:<14}{}\n", name, value); };
  const auto& info = stream.info;
  line("stream", std::to_string(info.id.value));
  line("service", stream.service);
  line("state", stream.state + (info.closed ? ": " + stream.closed_because : ""));
  const auto range = [](const log::StreamRange& r) {
    return fmt::format("{} bytes stored ({}), from offset {}{}{}", r.size(), human_size(r.size()), r.begin.value,
                       r.begin.value > 0 ? " (trimmed)" : "", r.fin ? ", finished" : "");
  };
  line("in", range(info.in));
  line("out", range(info.out));
  if (!stream.record) return text;
  const auto& s = stream.record->snapshot;
  const auto on = [](bool value) { return value ? "yes" : "no"; };
  line("local", s.tuple.local.to_string());
  line("peer", s.tuple.peer.to_string());
  line("opened", iso_time(stream.record->opened) + (s.active_open ? " by us" : " by the peer"));
  line("options", fmt::format("timestamps {}, SACK {}, window scale {} (ours {}, theirs {})", on(s.timestamps),
                              on(s.sack), on(s.window_scale), s.receive_scale, s.send_scale));
  line("segment size", fmt::format("{} to the peer, {} from it", s.send_mss, s.receive_mss));
  return text;
}

std::string json_list(const std::vector<StreamView>& streams) {
  Json list = Json::array();
  for (const auto& stream : streams) list.push_back(to_json(stream));
  return list.dump(2) + "\n";
}

std::string json_object(const StreamView& stream) { return to_json(stream).dump(2) + "\n"; }

}  // namespace holdfast::node
