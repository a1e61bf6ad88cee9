#include "gate/gate.h"

#include <gtest/gtest.h>

#include <string>

#include "gate/fake_log.h"

namespace holdfast::gate {
namespace {

constexpr wire::FourTuple kTuple{{{0x0a4d0002}, wire::Port{7000}}, {{0x0a4d0001}, wire::Port{40000}}};
constexpr std::uint32_t kPeerIss = 1000;
constexpr std::uint32_t kOurIss = 5000;

struct Sent {
  wire::FourTuple tuple;
  wire::TcpHeader header;
  std::string payload;
};

class GateTest : public testing::Test, public Output, public Observer {
 protected:
  GateTest() {
    auto owned = std::make_unique<FakeLog>();
    log = owned.get();
    Options options;
    options.stall_after = std::chrono::seconds(2);
    gate = std::make_unique<Gate>(options, std::move(owned), *this, *this, 0, now);
    gate->speak_all(now);
  }

  // ---- Output ----
  void send_segment(const wire::FourTuple& tuple, const tcp::SegmentOut& segment) override {
    Sent out{tuple, segment.header, {}};
    for (const Bytes piece : segment.payload)
      out.payload.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    sent.push_back(out);
  }
  void send_frame(Bytes frame) override { frames.emplace_back(frame.begin(), frame.end()); }
  bool settled(const wire::FourTuple&, Time) override { return reachable; }
  bool is_unknown(const wire::FourTuple& tuple) const override { return tuple != known; }
  void send_unreachable(const wire::FourTuple& tuple, wire::SeqNum seq) override {
    EXPECT_EQ(tuple, kTuple);
    unreachable.push_back(seq.value);
  }
  void state_changed(Entry&, tcp::State, tcp::State) override {}
  void forget(Entry&) override {}

  void pump() { gate->pump(now); }
  void store() {
    log->complete();
    pump();
  }

  wire::TcpHeader header(std::uint32_t seq, std::uint32_t ack) const {
    wire::TcpHeader h;
    h.source = kTuple.peer.port;
    h.destination = kTuple.local.port;
    h.seq = wire::SeqNum{seq};
    h.ack = wire::SeqNum{ack};
    h.flags.ack = true;
    h.window = 60000;
    return h;
  }
  void segment(const wire::TcpHeader& h, std::string_view payload = {}) {
    gate->set_now(now);
    entry->connection->on_segment({h, std::as_bytes(std::span(payload))}, now);
    gate->reschedule(*entry);
  }

  Entry& accept(ServiceKind service) {
    wire::TcpHeader syn;
    syn.source = kTuple.peer.port;
    syn.destination = kTuple.local.port;
    syn.seq = wire::SeqNum{kPeerIss};
    syn.flags.syn = true;
    syn.window = 60000;
    syn.options.mss = 1460;
    if (peer_scales) syn.options.window_scale = 7;
    if (ways > 3) syn.options.ways = wire::WaysOption{.ways = ways, .step = 1, .nonce = 1};
    scaled.ways = {.min = 3, .max = wire::kMaxWays};
    auto connection =
        tcp::Connection::accept(*gate, scaled, gate->next_id(), kTuple, {syn, {}}, wire::SeqNum{kOurIss}, 0, now);
    entry = gate->add(std::move(connection), service, nullptr, now);
    return *entry;
  }
  Entry& establish(ServiceKind service) {
    accept(service);
    pump();
    store();
    segment(header(kPeerIss + 1, kOurIss + 1));
    pump();
    store();
    pump();
    sent.clear();
    return *entry;
  }
  // Two full-sized segments, so that an ACK is due at once.
  std::uint32_t upload_two_segments() {
    segment(header(kPeerIss + 1, kOurIss + 1), std::string(1460, 'a'));
    segment(header(kPeerIss + 1 + 1460, kOurIss + 1), std::string(1460, 'b'));
    return kPeerIss + 1 + 2920;
  }

  Time now{};
  FakeLog* log = nullptr;
  std::unique_ptr<Gate> gate;
  Entry* entry = nullptr;
  std::vector<Sent> sent;
  std::vector<std::vector<std::byte>> frames;
  std::vector<std::uint32_t> unreachable;  // what was said not to have arrived
  wire::FourTuple known{};
  bool reachable = true;  // every peer
  tcp::Config scaled;     // of connections that are accepted
  bool peer_scales = false;
  std::uint8_t ways = 3;  // that the peer proposes

  // The peer's next step, in answer to the last segment that was sent.
  void step() {
    ASSERT_FALSE(sent.empty());
    const auto answered = sent.back().header.options.ways;
    ASSERT_TRUE(answered);
    wire::TcpHeader h = header(kPeerIss + 1, kOurIss + 1);
    h.options.ways = wire::WaysOption{.ways = ways,
                                      .step = static_cast<std::uint8_t>(answered->step + 1),
                                      .copies = 100,
                                      .nonce = answered->step + 1U,
                                      .echo = answered->nonce};
    segment(h);
    pump();
  }
  int last_step() const {
    const auto option = sent.empty() ? std::nullopt : sent.back().header.options.ways;
    return option ? option->step : 0;
  }
};

// An active connection of ours, established.
class GateClientTest : public GateTest, public ClientHandler {
 protected:
  void received(Bytes bytes) override { got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }
  void peer_finished() override { ++times_peer_finished; }

  void dial() {
    auto connection = tcp::Connection::connect(*gate, {}, gate->next_id(), kTuple, wire::SeqNum{kOurIss}, 0, now);
    entry = gate->add(std::move(connection), ServiceKind::kClient, this, now);
    pump();
    store();
    wire::TcpHeader answer = header(kPeerIss, kOurIss + 1);
    answer.flags.syn = true;
    segment(answer);
    pump();
    store();
    pump();
    store();
    ASSERT_EQ(entry->connection->state(), tcp::State::kEstablished);
    sent.clear();
  }

  std::string got;
  int times_peer_finished = 0;
};

// A gate that takes over from another.
class GateTakeoverTest : public GateTest {
 protected:
  void take_over() {
    Recovery recovery;
    std::uint32_t position = 0;
    for (const FakeLog::Appended& record : log->records) {
      recovery.on_record(record.header, record.payload,
                         {SegmentNumber{1}, position += 64, record.header.length, record.header.offset,
                          record.header.type, record.header.flags});
    }
    ASSERT_EQ(recovery.connections().size(), 1U);
    auto fresh = std::make_unique<FakeLog>();
    log = fresh.get();
    if (inherited > 0) {
      log->room = 0;
      log->inherited = inherited;
    }
    auto next = std::make_unique<Gate>(options, std::move(fresh), *this, *this, 0, now);
    auto resumed = next->resume(entry->id, recovery.connections().begin()->second, config, now);
    ASSERT_TRUE(resumed.has_value());
    gate = std::move(next);
    entry = *resumed;
    sent.clear();
    pump();
    EXPECT_TRUE(sent.empty());  // silent until the epoch's start is stored
  }
  tcp::Config config;
  Options options;
  std::uint64_t inherited = 0;  // where not 0: all the room that the replacement finds
};

TEST_F(GateTest, ASynAckWaitsForTheConnectionRecord) {
  accept(ServiceKind::kStore);
  EXPECT_EQ(log->count(log::RecordType::kConnection), 1U);
  pump();
  EXPECT_TRUE(sent.empty());
  store();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_TRUE(sent[0].header.flags.syn);
  EXPECT_TRUE(sent[0].header.flags.ack);
}

TEST_F(GateTest, AnAckIsHeldUntilTheBatchIsStored) {
  establish(ServiceKind::kStore);
  const std::uint32_t end = upload_two_segments();
  pump();
  pump();
  EXPECT_TRUE(sent.empty());
  store();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].header.ack.value, end);
}

TEST_F(GateTest, AcksOfALaterBatchWaitForThatBatch) {
  establish(ServiceKind::kStore);
  upload_two_segments();
  pump();  // the first batch is on its way
  segment(header(kPeerIss + 1 + 2920, kOurIss + 1), std::string(1460, 'c'));
  segment(header(kPeerIss + 1 + 4380, kOurIss + 1), std::string(1460, 'd'));
  log->complete();  // the first batch only
  pump();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].header.ack.value, kPeerIss + 1 + 2920);
  store();
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[1].header.ack.value, kPeerIss + 1 + 5840);
}

TEST_F(GateTest, ADuplicateOfUnstoredBytesDrawsNoAck) {
  establish(ServiceKind::kStore);
  upload_two_segments();
  pump();
  segment(header(kPeerIss + 1, kOurIss + 1), std::string(1460, 'a'));
  pump();
  EXPECT_TRUE(sent.empty());
}

TEST_F(GateTest, ADuplicateBelowTheReleasedEdgeDrawsAnAckAtOnce) {
  establish(ServiceKind::kStore);
  const std::uint32_t end = upload_two_segments();
  pump();
  store();
  sent.clear();
  segment(header(kPeerIss + 1, kOurIss + 1), std::string(1460, 'a'));
  pump();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].header.ack.value, end);
}

TEST_F(GateTest, AFinIsAcknowledgedOnceItIsStoredAndOursFollowsTheirs) {
  establish(ServiceKind::kStore);
  wire::TcpHeader fin = header(kPeerIss + 1, kOurIss + 1);
  fin.flags.fin = true;
  segment(fin, "bye");
  pump();
  EXPECT_TRUE(sent.empty());
  store();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().header.ack.value, kPeerIss + 1 + 3 + 1);
  EXPECT_TRUE(sent.back().header.flags.fin);
}

TEST_F(GateTest, AnEchoLeavesWithItsAckInOneSegmentOnceBothAreStored) {
  establish(ServiceKind::kEcho);
  segment(header(kPeerIss + 1, kOurIss + 1), "ping");
  pump();
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(log->records.back().header.flags, log::kEcho);
  store();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].payload, "ping");
  EXPECT_EQ(sent[0].header.ack.value, kPeerIss + 1 + 4);
}

TEST_F(GateTest, AResetOfOursWaitsForTheCloseRecord) {
  establish(ServiceKind::kStore);
  entry->connection->abort(now);
  EXPECT_EQ(log->count(log::RecordType::kClose), 1U);
  pump();
  EXPECT_TRUE(sent.empty());
  store();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_TRUE(sent[0].header.flags.rst);
}

TEST_F(GateTest, TheCloseRecordOfAResetSaysWhy) {
  ways = 8;
  accept(ServiceKind::kStore);
  pump();
  store();
  step();  // step 3; nothing answers step 4
  for (int i = 0; i < 20 && log->count(log::RecordType::kClose) == 0; ++i) {
    store();
    now += std::chrono::minutes(2);
    pump();
  }
  ASSERT_EQ(log->count(log::RecordType::kClose), 1U);
  EXPECT_EQ(log->records.back().header.type, log::RecordType::kClose);
  EXPECT_EQ(log->records.back().header.extra, static_cast<std::uint32_t>(tcp::CloseReason::kHandshakeStopped));
}

TEST_F(GateTest, ARefusalWaitsForAWriteBegunAfterTheSegment) {
  establish(ServiceKind::kStore);
  upload_two_segments();
  pump();  // a write is in flight already: it proves nothing about now
  wire::TcpHeader rst;
  rst.flags.rst = true;
  gate->hold_refusal({kTuple.local, {{0x0a4d0003}, wire::Port{1}}}, rst);
  log->complete();
  pump();
  for (const Sent& s : sent) EXPECT_FALSE(s.header.flags.rst);
  store();
  EXPECT_TRUE(sent.back().header.flags.rst);
}

TEST_F(GateTest, ARefusalIsDroppedWhenTheConnectionHasComeIntoBeing) {
  wire::TcpHeader rst;
  rst.flags.rst = true;
  gate->hold_refusal(kTuple, rst);
  pump();
  known = kTuple;
  store();
  EXPECT_TRUE(sent.empty());
}

TEST_F(GateTest, AnAnnouncementWaitsForTheLogToo) {
  const std::array<std::byte, 42> frame{};
  gate->hold_frame(frame);
  pump();
  EXPECT_TRUE(frames.empty());
  store();
  EXPECT_EQ(frames.size(), 1U);
}

TEST_F(GateTest, TheWindowIsWhatTheLogHasRoomFor) {
  log->room = 5000;
  log->scarce = true;
  establish(ServiceKind::kStore);
  EXPECT_LE(entry->connection->advertised().value, 5000U);
  EXPECT_EQ(log->room + log->reserved, 5000U);
  upload_two_segments();
  const std::uint64_t edge = entry->connection->advertised().value;
  pump();
  store();
  EXPECT_LE(entry->connection->advertised().value, edge);
  EXPECT_EQ(sent.back().header.ack.value, kPeerIss + 1 + 2920);
}

TEST_F(GateTest, AFirstWindowLeavesRoomForOthers) {
  log->room = 160'000;
  accept(ServiceKind::kStore);
  EXPECT_EQ(entry->reserved_edge.value, 10'000U);
  EXPECT_EQ(log->room, 150'000U);
}

// Else it could not be told, and the peer would never send what makes it grow.
TEST_F(GateTest, AFirstWindowIsNeverLessThanItsScaleCanSay) {
  log->room = 100'000;
  scaled.max_receive_window = 1U << 30;
  peer_scales = true;
  establish(ServiceKind::kStore);
  EXPECT_GE(entry->connection->advertised().value, std::uint64_t{1} << 14);
}

TEST_F(GateTest, RoomThatIsPromisedGoesBackWhenTheConnectionEnds) {
  const std::uint64_t before = log->room;
  establish(ServiceKind::kStore);
  EXPECT_LT(log->room, before);
  entry->connection->abort(now);
  pump();
  EXPECT_EQ(log->room, before);
  EXPECT_EQ(log->reserved, 0U);
}

TEST_F(GateTest, BytesForWhichTheLogHasNoRoomAreNeverAcknowledged) {
  establish(ServiceKind::kStore);
  log->no_room = true;
  upload_two_segments();
  pump();
  store();
  for (const Sent& s : sent) EXPECT_LE(s.header.ack.value, kPeerIss + 1);
  log->no_room = false;
  const std::uint32_t end = upload_two_segments();
  pump();
  store();
  EXPECT_EQ(sent.back().header.ack.value, end);
}

TEST_F(GateTest, StorageThatStandsStillClosesTheWindowAndAnswersProbes) {
  establish(ServiceKind::kStore);
  upload_two_segments();
  pump();
  now += std::chrono::seconds(3);
  pump();
  EXPECT_TRUE(gate->stalled());
  sent.clear();
  segment(header(kPeerIss + 1, kOurIss + 1), std::string(1460, 'a'));  // a retransmission
  pump();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().header.window, 0U);
  EXPECT_EQ(sent.back().header.ack.value, kPeerIss + 1);
  sent.clear();
  store();
  EXPECT_FALSE(gate->stalled());
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().header.ack.value, kPeerIss + 1 + 2920);
  EXPECT_GT(sent.back().header.window, 0U);
}

// Nothing is queued, since the log took nothing: the peer waits all the same, and would time out without an answer.
TEST_F(GateTest, BytesThatAFullLogCannotTakeCloseTheWindowToo) {
  establish(ServiceKind::kStore);
  log->no_room = true;
  log->room = 0;
  const auto retransmission = [this] { segment(header(kPeerIss + 1, kOurIss + 1), "a"); };
  retransmission();
  pump();
  EXPECT_FALSE(gate->stalled());
  now += std::chrono::seconds(3);
  pump();
  EXPECT_TRUE(gate->stalled());
  sent.clear();
  retransmission();
  pump();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().header.window, 0U);
  EXPECT_EQ(sent.back().header.ack.value, kPeerIss + 1);
  log->no_room = false;
  sent.clear();
  const std::uint32_t end = upload_two_segments();
  pump();
  store();
  EXPECT_FALSE(gate->stalled());
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().header.ack.value, end);
}

TEST_F(GateTest, RoomEndsAStallThatNobodyWaitsForAnyMore) {
  establish(ServiceKind::kStore);
  log->no_room = true;
  log->room = 0;
  segment(header(kPeerIss + 1, kOurIss + 1), "a");
  now += std::chrono::seconds(3);
  pump();
  EXPECT_TRUE(gate->stalled());
  log->room = 1U << 20;
  pump();
  EXPECT_FALSE(gate->stalled());
}

TEST_F(GateTest, AnIdleHourIsNoStall) {
  establish(ServiceKind::kStore);
  now += std::chrono::hours(1);
  upload_two_segments();
  pump();
  EXPECT_FALSE(gate->stalled());
  store();
  ASSERT_FALSE(sent.empty());
  EXPECT_GT(sent.back().header.window, 0U);
}

// Behind a closed window no data record comes that could tell of a promise.
TEST_F(GateTest, APromiseThatFoundNoRoomForItsRecordIsMadeAgain) {
  log->room = 0;
  establish(ServiceKind::kStore);
  ASSERT_EQ(entry->reserved_edge.value, 0U);
  log->room = 1U << 30;
  log->no_room = true;  // for a moment: every batch is on its way
  pump();
  log->no_room = false;
  log->room = 0;  // others were quicker; what is promised is reserved already
  pump();
  store();
  pump();
  EXPECT_GT(entry->connection->advertised().value, 0U);
}

// Its peer reads nothing for a while: it must find a closed window, and every try answered, or it would give up.
TEST_F(GateTest, APeerWithManySmallEchoesUnreadFindsTheWindowClosed) {
  establish(ServiceKind::kEcho);
  for (std::uint32_t i = 0; i + 1 < kMaxOutboundExtents; ++i) {
    entry->outbound.push_back({SegmentNumber{1}, i * 64, 0, 0, log::RecordType::kIn, 0});
  }
  EXPECT_FALSE(gate->receive_allowance(*entry->connection).stalled);
  upload_two_segments();
  pump();
  store();
  EXPECT_TRUE(gate->receive_allowance(*entry->connection).stalled);
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().header.window, 0U);
  gate->acknowledged(*entry->connection, StreamOffset{0}, false);
  pump();
  EXPECT_FALSE(gate->receive_allowance(*entry->connection).stalled);
  EXPECT_GT(sent.back().header.window, 0U);
}

TEST_F(GateTest, ACheckpointEndsWhateverTheSizeOfAConnection) {
  establish(ServiceKind::kEcho);
  for (std::uint32_t i = 0; i < 600; ++i) {
    entry->outbound.push_back({SegmentNumber{1}, i * 64, 1, i, log::RecordType::kIn, 0});
  }
  gate->checkpoint_begin();
  const std::size_t before = log->count(log::RecordType::kConnection);
  EXPECT_FALSE(gate->checkpoint_step(std::size_t{16} << 10));
  EXPECT_EQ(log->count(log::RecordType::kConnection), before + 1);
}

TEST_F(GateTest, AConnectionSetAsideStaysInTheLogOverCheckpoints) {
  establish(ServiceKind::kStore);
  Recovery recovery;
  for (const FakeLog::Appended& record : log->records) recovery.on_record(record.header, record.payload, {});
  ASSERT_EQ(recovery.connections().size(), 1U);
  const StreamId other{77};
  gate->set_aside(other, recovery.connections().begin()->second);
  log->records.clear();
  gate->checkpoint_begin();
  EXPECT_TRUE(gate->checkpoint_step(0)) << "a record at least each time";
  EXPECT_FALSE(gate->checkpoint_step(0));
  ASSERT_EQ(log->count(log::RecordType::kConnection), 2U);
  EXPECT_EQ(log->records[0].header.stream, other);
  EXPECT_EQ(decode_connection_record(log->records[0].payload)->snapshot.tuple, kTuple);
}

// Many small echoes that nobody has acknowledged, as far as the log knows: a recovery finds more of them than one
// record lists.
Recovery with_many_echoes(const FakeLog& log, StreamId id, std::uint64_t count) {
  Recovery recovery;
  for (const FakeLog::Appended& record : log.records) recovery.on_record(record.header, record.payload, {});
  for (std::uint64_t i = 0; i < count; ++i) {
    log::RecordHeader header;
    header.type = log::RecordType::kIn;
    header.flags = log::kEcho;
    header.stream = id;
    header.offset = i;
    header.length = 1;
    recovery.on_record(header, {},
                       {SegmentNumber{1}, static_cast<std::uint32_t>(i * 64), 1, i, header.type, header.flags});
  }
  return recovery;
}

// What a recovery makes of it that begins with the checkpoint.
void expect_whole(const FakeLog& log, StreamId id, std::uint64_t count) {
  Recovery recovery;
  for (const FakeLog::Appended& record : log.records) recovery.on_record(record.header, record.payload, {});
  const auto& found = recovery.connections().at(id);
  EXPECT_EQ(found.record.snapshot.snd_end.value, count);
  ASSERT_EQ(found.outbound.size(), count);
  for (std::uint64_t i = 0; i < count; ++i) ASSERT_EQ(found.outbound[i].offset, i);
}

TEST_F(GateTest, ACheckpointListsAllThatWasSetAside) {
  establish(ServiceKind::kEcho);
  Recovery recovery = with_many_echoes(*log, entry->id, 10000);
  const StreamId other{77};
  gate->set_aside(other, recovery.connections().begin()->second);
  log->records.clear();
  gate->checkpoint_begin();
  for (int steps = 0; gate->checkpoint_step(std::size_t{16} << 10); ++steps) {
    ASSERT_LT(steps, 10);
    log->no_room = steps % 2 == 0;
  }
  expect_whole(*log, other, 10000);
}

TEST_F(GateTakeoverTest, ACheckpointListsAllOfAConnectionWithManyEchoes) {
  establish(ServiceKind::kEcho);
  const StreamId id = entry->id;
  Recovery recovery = with_many_echoes(*log, id, 10000);
  auto fresh = std::make_unique<FakeLog>();
  log = fresh.get();
  gate = std::make_unique<Gate>(Options{}, std::move(fresh), *this, *this, 0, now);
  ASSERT_TRUE(gate->resume(id, recovery.connections().begin()->second, config, now));
  gate->speak_all(now);
  gate->checkpoint_begin();
  for (int steps = 0; gate->checkpoint_step(std::size_t{16} << 10); ++steps) {
    ASSERT_LT(steps, 10);
    log->no_room = steps % 2 == 0;
  }
  expect_whole(*log, id, 10000);
}

// Whose bytes cannot be read back is no more, and holds no room.
TEST_F(GateTakeoverTest, AConnectionThatCannotBeResumedLeavesNothingBehind) {
  establish(ServiceKind::kEcho);
  upload_two_segments();
  pump();
  store();
  Recovery recovery;
  for (const FakeLog::Appended& record : log->records) {
    recovery.on_record(
        record.header, record.payload,
        {SegmentNumber{1}, 64, record.header.length, record.header.offset, record.header.type, record.header.flags});
  }
  const StreamId id = entry->id;
  auto fresh = std::make_unique<FakeLog>();
  log = fresh.get();
  log->room = 1;
  log->unreadable = true;
  gate = std::make_unique<Gate>(Options{}, std::move(fresh), *this, *this, 0, now);
  ASSERT_FALSE(gate->resume(id, recovery.connections().begin()->second, config, now));
  EXPECT_EQ(log->reserved, 0U);
  log->room = 1U << 30;
  gate->speak_all(now);
  pump();
  EXPECT_EQ(log->reserved, 0U);
}

TEST_F(GateTakeoverTest, AReplacementAcknowledgesWhatItsPredecessorStored) {
  establish(ServiceKind::kStore);
  const std::uint32_t end = upload_two_segments();
  pump();
  store();
  take_over();
  gate->speak_all(now);
  pump();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().header.ack.value, end);
  EXPECT_EQ(sent.back().header.seq.value, kOurIss + 1);
  EXPECT_GT(log->reserved, 0U);
}

TEST_F(GateTakeoverTest, ANudgeNamesTheStoredEdgeAndWaitsForALogWrite) {
  establish(ServiceKind::kStore);
  const std::uint32_t end = upload_two_segments();
  pump();
  store();
  options.nudge = true;
  take_over();
  gate->speak_all(now);
  pump();
  ASSERT_FALSE(sent.empty());
  EXPECT_TRUE(unreachable.empty());
  store();
  ASSERT_FALSE(unreachable.empty());
  for (const std::uint32_t seq : unreachable) EXPECT_EQ(seq, end);
  const auto once = unreachable.size();
  store();
  EXPECT_EQ(unreachable.size(), once);
}

TEST_F(GateTakeoverTest, NoNudgeForAPeerThatHasFinishedOrWhereNobodyAskedForIt) {
  establish(ServiceKind::kStore);
  for (const bool finished : {false, true}) {
    if (finished) {
      wire::TcpHeader fin = header(kPeerIss + 1, kOurIss + 1);
      fin.flags.fin = true;
      segment(fin);
      pump();
      store();
    }
    options.nudge = finished;
    take_over();
    gate->speak_all(now);
    pump();
    store();
    EXPECT_TRUE(unreachable.empty());
    if (!finished) establish(ServiceKind::kStore);
  }
}

TEST_F(GateTakeoverTest, AReplacementSpeaksToAPeerOnceItCanBeReached) {
  establish(ServiceKind::kStore);
  reachable = false;
  take_over();
  gate->speak_all(now);
  pump();
  EXPECT_TRUE(sent.empty());
  reachable = true;
  pump();
  EXPECT_EQ(sent.size(), 1U);
  pump();
  EXPECT_EQ(sent.size(), 1U);
}

TEST_F(GateTakeoverTest, AReplacementSpeaksBeforeItHears) {
  establish(ServiceKind::kStore);
  reachable = false;
  take_over();
  gate->speak_all(now);
  gate->speak_first(*entry, now);
  EXPECT_EQ(sent.size(), 1U);
  upload_two_segments();
  pump();
  store();
  pump();
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent.back().header.ack.value, kPeerIss + 1 + 1460) << "the first one at once, the second as ever";
}

// The predecessor's promises stand although its successor's room for new ones is small.
TEST_F(GateTakeoverTest, WhatWasPromisedIsReservedFromTheRoomThatIsInherited) {
  Entry& before = establish(ServiceKind::kStore);
  const StreamOffset promised = before.reserved_edge;
  inherited = promised - before.appended.in_end;
  take_over();
  EXPECT_EQ(entry->reserved_edge, promised);
}

// The window kept to the send buffer's room; SND.UNA lags, so that there looks to be less of it.
TEST_F(GateTakeoverTest, AReplacementsEchoTakesAllThatWasAdvertised) {
  establish(ServiceKind::kEcho);
  upload_two_segments();
  pump();
  store();
  config.send_buffer = 4096;
  take_over();
  const std::uint64_t advertised = entry->reserved_edge - entry->appended.in_end;
  ASSERT_GT(advertised, 4096U);
  EXPECT_GE(entry->connection->send_room(), advertised);
}

TEST_F(GateTakeoverTest, AReplacementReservesNoRoomBehindThePeersFin) {
  establish(ServiceKind::kStore);
  wire::TcpHeader fin = header(kPeerIss + 1, kOurIss + 1);
  fin.flags.fin = true;
  segment(fin, "the end");
  pump();
  store();
  take_over();
  gate->speak_all(now);
  pump();
  EXPECT_EQ(log->reserved, 0U);
}

// Its FIN's ACK once said, the peer forgets: a replacement would ask in vain whether ours was acknowledged.
TEST_F(GateClientTest, ThatOurFinIsAcknowledgedIsRecordedBeforeThePeersFin) {
  dial();
  ASSERT_TRUE(gate->commit(*entry, StreamOffset{0}, {}, true, now));
  pump();
  store();
  wire::TcpHeader fin = header(kPeerIss + 1, kOurIss + 2);
  fin.flags.fin = true;
  segment(fin, "good bye");
  const FakeLog::Appended& last = log->records.back();
  ASSERT_EQ(last.header.type, log::RecordType::kIn);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(last.payload.data()), last.payload.size()), "good bye");
  const FakeLog::Appended& before = log->records[log->records.size() - 2];
  ASSERT_EQ(before.header.type, log::RecordType::kConnection);
  const auto record = decode_connection_record(before.payload);
  ASSERT_TRUE(record.has_value());
  EXPECT_TRUE(record->snapshot.fin_acked);
  pump();
  store();
  EXPECT_EQ(got, "good bye");
  EXPECT_EQ(times_peer_finished, 1);
}

// What its predecessor promised, and it has no room for, is told on: the peer may have used it.
TEST_F(GateTakeoverTest, AReplacementOnAFullLogRemembersThePromise) {
  const StreamOffset promised = establish(ServiceKind::kStore).reserved_edge;
  inherited = 1;
  take_over();
  gate->speak_all(now);
  EXPECT_EQ(entry->reserved_edge, entry->appended.in_end + 1);
  entry->record_dirty = true;
  pump();
  ASSERT_EQ(log->count(log::RecordType::kConnection), 1U);
  const auto record = decode_connection_record(log->records.back().payload);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->snapshot.edge, promised);
}

// ---- The N-way handshake ----

TEST_F(GateTest, AStepWaitsForTheCopiesOfTheRecordThatItCertifies) {
  ways = 8;
  accept(ServiceKind::kStore);
  pump();
  EXPECT_TRUE(sent.empty());
  store();
  EXPECT_EQ(last_step(), 2);
  EXPECT_EQ(sent.back().header.options.ways->copies, 1);
  step();
  EXPECT_EQ(last_step(), 4) << "asks for the one copy that there is";
  step();
  EXPECT_EQ(last_step(), 4) << "asks for two";
  pump();
  EXPECT_EQ(last_step(), 4);
  log->locations_that_hold = 2;
  pump();
  EXPECT_EQ(last_step(), 6);
  EXPECT_EQ(sent.back().header.options.ways->copies, 2);
  EXPECT_EQ(entry->connection->state(), tcp::State::kSynReceived);
  const std::size_t records = log->count(log::RecordType::kConnection);
  log->locations_that_hold = 3;
  step();
  pump();
  EXPECT_EQ(last_step(), 6) << "step N waits until \"established\" is stored";
  EXPECT_GT(log->count(log::RecordType::kConnection), records);
  store();
  EXPECT_EQ(last_step(), 8);
  EXPECT_EQ(sent.back().header.options.ways->copies, 3);
  EXPECT_EQ(entry->connection->state(), tcp::State::kEstablished);
}

TEST_F(GateTest, AStepThatWaitsInVainForCopiesSaysSo) {
  ways = 8;
  accept(ServiceKind::kStore);
  pump();
  store();
  step();
  step();
  EXPECT_EQ(last_step(), 4);
  EXPECT_LE(gate->deadline(), now + scaled.ways.roll_call_timeout);
  now += scaled.ways.roll_call_timeout;
  pump();
  EXPECT_EQ(last_step(), 6);
  EXPECT_EQ(sent.back().header.options.ways->copies, 1);
  EXPECT_TRUE(sent.back().header.options.ways->is_short);
}

TEST_F(GateTest, AConnectionThatEndsInItsRollCallIsNotAskedAgain) {
  ways = 8;
  accept(ServiceKind::kStore);
  pump();
  store();
  step();
  step();
  wire::TcpHeader reset = header(kPeerIss + 1, 0);
  reset.flags = {.rst = true};
  segment(reset);
  EXPECT_TRUE(entry->finished);
  log->locations_that_hold = 2;
  store();
  store();
  EXPECT_TRUE(gate->entries().empty());
}

TEST_F(GateTakeoverTest, AReplacementGoesOnInMidHandshake) {
  ways = 8;
  config.ways = {.min = 3, .max = wire::kMaxWays};
  accept(ServiceKind::kStore);
  pump();
  store();
  log->locations_that_hold = 9;
  step();
  step();
  ASSERT_EQ(last_step(), 6);
  const auto sixth = *sent.back().header.options.ways;
  take_over();
  log->complete();
  gate->speak_all(now);
  pump();
  log->locations_that_hold = 9;
  ASSERT_EQ(last_step(), 2) << "what is stored says no more than that";
  // The peer answers with its latest step.
  wire::TcpHeader h = header(kPeerIss + 1, kOurIss + 1);
  h.options.ways = wire::WaysOption{.ways = 8, .step = 7, .copies = 9, .nonce = 7, .echo = sixth.nonce};
  segment(h);
  pump();
  store();
  EXPECT_EQ(last_step(), 8);
  EXPECT_EQ(entry->connection->state(), tcp::State::kEstablished);
}

}  // namespace
}  // namespace holdfast::gate
