#include "gate/recovery.h"

#include <gtest/gtest.h>

namespace holdfast::gate {
namespace {

class RecoveryTest : public testing::Test {
 protected:
  void connection(tcp::State state, std::uint64_t rcv_end = 0, std::uint64_t snd_end = 0) {
    ConnectionRecord record;
    record.snapshot.state = state;
    record.snapshot.rcv_end = StreamOffset{rcv_end};
    record.snapshot.edge = StreamOffset{rcv_end + 100};
    record.snapshot.snd_una = record.snapshot.snd_end = StreamOffset{snd_end};
    record.service = 1;
    log::RecordHeader header;
    header.type = log::RecordType::kConnection;
    header.stream = StreamId{5};
    recovery.on_record(header, encode(record, {}), {});
  }
  void data(log::RecordType type, std::uint64_t offset, std::uint32_t length, std::uint8_t flags = 0,
            std::uint32_t extra = 0) {
    log::RecordHeader header;
    header.type = type;
    header.stream = StreamId{5};
    header.offset = offset;
    header.length = length;
    header.flags = flags;
    header.extra = extra;
    recovery.on_record(header, {}, {SegmentNumber{1}, 4096, length, offset, type, flags});
  }
  tcp::Snapshot& snapshot() { return recovery.connections().at(StreamId{5}).record.snapshot; }

  Recovery recovery;
};

TEST_F(RecoveryTest, DataAfterASynReceivedRecordMeansEstablished) {
  connection(tcp::State::kSynReceived);
  EXPECT_EQ(snapshot().state, tcp::State::kSynReceived);
  data(log::RecordType::kIn, 0, 10, 0, 1000);
  EXPECT_EQ(snapshot().state, tcp::State::kEstablished);
  EXPECT_EQ(snapshot().rcv_end, StreamOffset{10});
  EXPECT_EQ(snapshot().edge, StreamOffset{1010});
}

TEST_F(RecoveryTest, TheOrderOfTheTwoFinsDecidesTheState) {
  connection(tcp::State::kEstablished);
  data(log::RecordType::kIn, 0, 0, log::kFin);
  EXPECT_EQ(snapshot().state, tcp::State::kCloseWait);
  data(log::RecordType::kOut, 0, 0, log::kFin);
  EXPECT_EQ(snapshot().state, tcp::State::kLastAck);

  connection(tcp::State::kEstablished);
  data(log::RecordType::kOut, 0, 0, log::kFin);
  EXPECT_EQ(snapshot().state, tcp::State::kFinWait1);
  data(log::RecordType::kIn, 0, 0, log::kFin);
  EXPECT_EQ(snapshot().state, tcp::State::kClosing);
}

TEST_F(RecoveryTest, AnEchoedRecordIsBothDirections) {
  connection(tcp::State::kEstablished);
  data(log::RecordType::kIn, 0, 10, log::kEcho);
  data(log::RecordType::kIn, 10, 5, log::kEcho | log::kFin);
  EXPECT_EQ(snapshot().snd_end, StreamOffset{15});
  EXPECT_TRUE(snapshot().snd_fin);
  EXPECT_EQ(snapshot().state, tcp::State::kLastAck);
  EXPECT_EQ(recovery.connections().at(StreamId{5}).outbound.size(), 2U);
}

TEST_F(RecoveryTest, AGapIsReportedAndNotGuessedAt) {
  connection(tcp::State::kEstablished);
  data(log::RecordType::kIn, 1, 10);
  EXPECT_EQ(snapshot().rcv_end, StreamOffset{0});
  EXPECT_EQ(recovery.strange_records(), 1U);
}

TEST_F(RecoveryTest, AClosedConnectionIsGone) {
  connection(tcp::State::kEstablished);
  data(log::RecordType::kClose, 0, 0);
  EXPECT_TRUE(recovery.connections().empty());
  data(log::RecordType::kIn, 0, 10);
  EXPECT_TRUE(recovery.connections().empty());
}

TEST_F(RecoveryTest, ALaterRecordReplacesTheEarlier) {
  connection(tcp::State::kEstablished, 100, 50);
  data(log::RecordType::kIn, 100, 10);
  connection(tcp::State::kEstablished, 110, 50);
  data(log::RecordType::kIn, 110, 10);
  EXPECT_EQ(snapshot().rcv_end, StreamOffset{120});
  EXPECT_EQ(recovery.strange_records(), 0U);
}

}  // namespace
}  // namespace holdfast::gate
