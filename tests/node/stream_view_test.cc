#include "node/stream_view.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "gate/service.h"

namespace holdfast::node {
namespace {

log::StreamInfo stream(tcp::State state, std::uint64_t in, std::uint64_t out) {
  gate::ConnectionRecord record;
  record.snapshot.tuple = {.local = {{0x0a4d0002}, wire::Port{7000}}, .peer = {{0x0a4d0001}, wire::Port{40000}}};
  record.snapshot.state = state;
  record.service = static_cast<std::uint8_t>(gate::ServiceKind::kEcho);
  record.opened = 1'795'422'660'123'456'789;
  const auto encoded = gate::encode(record);
  log::StreamInfo info;
  info.id = StreamId{7};
  info.connection.assign(encoded.begin(), encoded.end());
  info.in.end = StreamOffset{in};
  info.out.end = StreamOffset{out};
  return info;
}

TEST(StreamView, JsonHasWhatProgramsRelyOn) {
  const auto list = nlohmann::json::parse(json_list({view(stream(tcp::State::kEstablished, 5, 3))}));
  ASSERT_EQ(list.size(), 1U);
  const auto& object = list[0];
  EXPECT_EQ(object["id"], 7);
  EXPECT_EQ(object["service"], "echo");
  EXPECT_EQ(object["local"], "10.77.0.2:7000");
  EXPECT_EQ(object["peer"], "10.77.0.1:40000");
  EXPECT_EQ(object["state"], "ESTABLISHED");
  EXPECT_EQ(object["in_bytes"], 5);
  EXPECT_EQ(object["out_bytes"], 3);
  EXPECT_EQ(object["opened"], "2026-11-23T08:31:00.123456Z");
}

TEST(StreamView, AnEmptyListIsAnEmptyArray) {
  EXPECT_EQ(nlohmann::json::parse(json_list({})), nlohmann::json::array());
}

TEST(StreamView, DataBehindTheRecordMovesTheStateOn) {
  EXPECT_EQ(view(stream(tcp::State::kSynReceived, 0, 0)).state, "SYN-RECEIVED");
  EXPECT_EQ(view(stream(tcp::State::kSynReceived, 1, 0)).state, "ESTABLISHED");
  auto half = stream(tcp::State::kEstablished, 1, 0);
  half.in.fin = true;
  EXPECT_EQ(view(half).state, "CLOSE-WAIT");
  half.out.fin = true;
  EXPECT_EQ(view(half).state, "LAST-ACK");
  auto ours = stream(tcp::State::kEstablished, 1, 0);
  ours.out.fin = true;
  EXPECT_EQ(view(ours).state, "FIN-WAIT-1");
}

TEST(StreamView, AClosedStreamSaysWhy) {
  auto closed = stream(tcp::State::kEstablished, 1, 0);
  closed.closed = true;
  closed.close_reason = static_cast<std::uint32_t>(tcp::CloseReason::kPeerReset);
  const auto shown = view(closed);
  EXPECT_EQ(shown.state, "CLOSED");
  EXPECT_NE(details(shown).find("reset by the peer"), std::string::npos);
}

TEST(StreamView, AStreamWithoutARecordIsStillShown) {
  log::StreamInfo info;
  info.id = StreamId{9};
  info.in.end = StreamOffset{100};
  const auto shown = view(info);
  EXPECT_EQ(shown.state, "UNKNOWN");
  EXPECT_TRUE(nlohmann::json::parse(json_object(shown))["peer"].is_null());
  EXPECT_NE(table({shown}).find("UNKNOWN"), std::string::npos);
}

TEST(StreamView, TheTableAlignsItsColumns) {
  const auto text =
      table({view(stream(tcp::State::kEstablished, 5, 3)), view(stream(tcp::State::kClosed, 1 << 20, 0))});
  const auto header_end = text.find('\n');
  const auto column = text.find("STATE");
  ASSERT_LT(column, header_end);
  EXPECT_EQ(text.substr(header_end + 1 + column, 11), "ESTABLISHED");
}

}  // namespace
}  // namespace holdfast::node
