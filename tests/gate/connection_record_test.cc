#include "gate/connection_record.h"

#include <gtest/gtest.h>

namespace holdfast::gate {
namespace {

ConnectionRecord example() {
  ConnectionRecord record;
  tcp::Snapshot& s = record.snapshot;
  s.tuple = {{{0x0a4d0002}, wire::Port{7000}}, {{0x0a4d0001}, wire::Port{40000}}};
  s.state = tcp::State::kCloseWait;
  s.active_open = true;
  s.iss = wire::SeqNum{0xfffffff0};
  s.irs = wire::SeqNum{7};
  s.send_mss = 1448;
  s.receive_mss = 1460;
  s.timestamps = s.sack = s.window_scale = true;
  s.send_scale = 7;
  s.receive_scale = 9;
  s.ts_offset = 0x12345678;
  s.ts_recent = 99;
  s.snd_una = StreamOffset{1ULL << 33};
  s.snd_end = StreamOffset{(1ULL << 33) + 5};
  s.rcv_end = StreamOffset{1ULL << 40};
  s.edge = StreamOffset{(1ULL << 40) + 65536};
  s.rcv_fin = true;
  s.snd_wnd = 4096;
  s.ways = {74, 73, 0xcafe0123};
  s.msl = std::chrono::seconds(30);
  record.service = 2;
  record.opened = 1'700'000'000'000'000'000ULL;
  return record;
}

TEST(ConnectionRecord, NoHandshakeOfImpossibleSteps) {
  for (const tcp::WaysRecord& ways :
       {tcp::WaysRecord{3, 1, 5}, tcp::WaysRecord{75, 1, 5}, tcp::WaysRecord{8, 9, 5}, tcp::WaysRecord{0, 1, 0},
        tcp::WaysRecord{8, 0, 0, false, 2}, tcp::WaysRecord{8, 0, 0, false, 9}}) {
    ConnectionRecord record = example();
    record.snapshot.ways = ways;
    EXPECT_FALSE(decode_connection_record(encode(record)).has_value()) << int{ways.ways} << ", " << int{ways.received};
  }
}

TEST(ConnectionRecord, ComesBackAsItWas) {
  const ConnectionRecord in = example();
  const auto out = decode_connection_record(encode(in));
  ASSERT_TRUE(out.has_value());
  const tcp::Snapshot &a = in.snapshot, &b = out->snapshot;
  EXPECT_EQ(a.tuple, b.tuple);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.active_open, b.active_open);
  EXPECT_EQ(a.iss, b.iss);
  EXPECT_EQ(a.irs, b.irs);
  EXPECT_EQ(a.send_mss, b.send_mss);
  EXPECT_EQ(a.receive_mss, b.receive_mss);
  EXPECT_EQ(a.timestamps, b.timestamps);
  EXPECT_EQ(a.sack, b.sack);
  EXPECT_EQ(a.window_scale, b.window_scale);
  EXPECT_EQ(a.send_scale, b.send_scale);
  EXPECT_EQ(a.receive_scale, b.receive_scale);
  EXPECT_EQ(a.ts_offset, b.ts_offset);
  EXPECT_EQ(a.ts_recent, b.ts_recent);
  EXPECT_EQ(a.snd_una, b.snd_una);
  EXPECT_EQ(a.fin_acked, b.fin_acked);
  EXPECT_EQ(a.snd_wnd, b.snd_wnd);
  EXPECT_EQ(a.ways, b.ways);
  EXPECT_EQ(a.rcv_end, b.rcv_end);
  EXPECT_EQ(a.rcv_fin, b.rcv_fin);
  EXPECT_EQ(a.snd_end, b.snd_end);
  EXPECT_EQ(a.snd_fin, b.snd_fin);
  EXPECT_EQ(a.edge, b.edge);
  EXPECT_EQ(a.msl, b.msl);
  EXPECT_EQ(in.service, out->service);
  EXPECT_EQ(in.opened, out->opened);
}

TEST(ConnectionRecord, ANewerVersionIsRefused) {
  auto bytes = encode(example());
  bytes[0] = std::byte{2};
  const auto out = decode_connection_record(bytes);
  ASSERT_FALSE(out.has_value());
  EXPECT_EQ(out.error().kind, Error::Kind::kIncompatible);
}

TEST(ConnectionRecord, FieldsOutOfRangeAreRefused) {
  auto bytes = encode(example());
  bytes[2] = std::byte{11};  // state
  EXPECT_FALSE(decode_connection_record(bytes).has_value());
  bytes = encode(example());
  bytes[3] = std::byte{15};  // send scale
  EXPECT_FALSE(decode_connection_record(bytes).has_value());
  EXPECT_FALSE(decode_connection_record(Bytes(bytes).first(kConnectionRecordSize - 1)).has_value());
}

TEST(ConnectionRecord, AnUnfinishedHandshakeComesBackWithWhatWasAskedFor) {
  ConnectionRecord in = example();
  for (const tcp::WaysRecord ways :
       {tcp::WaysRecord{}, tcp::WaysRecord{.ways = 8, .strict = true, .min = 5}, tcp::WaysRecord{.ways = 74, .min = 3},
        tcp::WaysRecord{.ways = 74, .received = 73, .peer_nonce = 0xfeedbeef},
        tcp::WaysRecord{.ways = 5, .received = 2, .peer_nonce = 1, .strict = true}}) {
    in.snapshot.ways = ways;
    const auto out = decode_connection_record(encode(in));
    ASSERT_TRUE(out.has_value()) << int{ways.ways} << " " << int{ways.received};
    EXPECT_EQ(out->snapshot.ways, ways) << int{ways.ways} << " " << int{ways.received};
  }
  for (const tcp::WaysRecord ways :
       {tcp::WaysRecord{.ways = 75, .min = 3}, tcp::WaysRecord{.ways = 8, .received = 9},
        tcp::WaysRecord{.ways = 8, .min = 2}, tcp::WaysRecord{.ways = 8, .min = 9}, tcp::WaysRecord{.strict = true}}) {
    in.snapshot.ways = ways;
    EXPECT_FALSE(decode_connection_record(encode(in)).has_value()) << int{ways.ways} << " " << int{ways.min};
  }
}

TEST(ConnectionRecord, OutboundExtentsFollowIt) {
  std::deque<log::Extent> outbound;
  outbound.push_back({SegmentNumber{3}, 4096, 100, 1ULL << 33, log::RecordType::kOut, log::kFin});
  outbound.push_back({SegmentNumber{4}, 128, 1, (1ULL << 33) + 100, log::RecordType::kIn, log::kEcho});
  const auto bytes = encode(example(), newest_extents(outbound));
  const auto out = decode_outbound(bytes);
  ASSERT_TRUE(out.has_value());
  ASSERT_EQ(out->size(), 2U);
  EXPECT_EQ((*out)[0].segment, SegmentNumber{3});
  EXPECT_EQ((*out)[0].length, 100U);
  EXPECT_EQ((*out)[1].offset, (1ULL << 33) + 100);
  EXPECT_EQ((*out)[1].flags, log::kEcho);
  EXPECT_FALSE(decode_outbound(Bytes(bytes).first(bytes.size() - 1)).has_value());
}

}  // namespace
}  // namespace holdfast::gate
