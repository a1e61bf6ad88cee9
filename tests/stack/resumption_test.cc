// What a start makes of the connections that it finds in the log.
#include "flood.h"

namespace holdfast::stack::testing {
namespace {

class Resumption : public Flood {
 protected:
  // The reasons of the close records, by stream.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> closed() const {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> all;
    for (const FakeLog::Appended& record : log->records) {
      if (record.header.type == log::RecordType::kClose) {
        all.emplace_back(record.header.stream.value, record.header.extra);
      }
    }
    return all;
  }
  // Like restart(); the log goes on with what it had.
  void restart_with_all() {
    std::vector<FakeLog::Appended> before = log->records;
    for (FakeLog::Appended& record : before) record.lsn = Lsn{0};
    restart();
    log->records.insert(log->records.begin(), before.begin(), before.end());
  }
  // A peer with a source port of its own (a BGP speaker, say) resets its connection while the log has no room to say
  // so, and opens another later: `second`.
  void open_two() {
    begin();
    Client first{wire::Port{40000}};
    establish(first);
    old_stream = log->ids;
    log->no_room = true;
    reset(first);
    EXPECT_EQ(engine->connections(), 0U);
    store();
    log->no_room = false;
    second.iss = wire::SeqNum{0x70000000};
    establish(second);
    new_stream = log->ids;
  }
  // As it was where a program did not make up for the close records for which there was no room.
  void open_two_with_no_close() {
    open_two();
    std::erase_if(log->records, [](const auto& record) { return record.header.type == log::RecordType::kClose; });
  }
  Client second{wire::Port{40000}};
  std::uint64_t old_stream = 0, new_stream = 0;
  static constexpr auto kOvertaken = static_cast<std::uint32_t>(tcp::CloseReason::kOvertaken);
};

TEST_F(Resumption, OfTwoConnectionsOfOnePeerTheNewerOneGoesOn) {
  open_two_with_no_close();
  data(second, bytes);
  store();
  EXPECT_TRUE(closed().empty());

  restart();
  store();
  EXPECT_EQ(engine->connections(), 1U);
  ASSERT_EQ(engine->list().size(), 1U);
  EXPECT_EQ(engine->list()[0].id.value, new_stream);
  EXPECT_EQ(closed(), (decltype(closed()){{old_stream, kOvertaken}}));
  meet();
  data(second, bytes, 1000);
  store();
  EXPECT_EQ(expect_one().header.ack, second.iss + 1 + 2000);
}

// Nor is there room at the start: the newer one goes on all the same, and that the older one has ended is stored as
// soon as there is, and before anything is that says so of the newer one.
TEST_F(Resumption, TheOlderOneWaitsForRoomToEnd) {
  open_two_with_no_close();
  restart_with_all();
  log->no_room = true;
  store();
  EXPECT_EQ(engine->connections(), 1U);
  EXPECT_TRUE(closed().empty());

  log->no_room = false;
  reset(second);
  store();
  ASSERT_EQ(closed().size(), 2U);
  EXPECT_EQ(closed()[0], std::pair(old_stream, kOvertaken));
  EXPECT_EQ(closed()[1].first, new_stream);
  pass(1s);  // nothing waits for these records: they are written when there is time
  restart_with_all();
  store();
  EXPECT_EQ(engine->connections(), 0U);
}

// All of it in one life: that the older one has ended is stored before that the newer one has.
TEST_F(Resumption, NeitherComesBackWhereBothHaveEnded) {
  open_two();
  reset(second);
  store();
  pass(1s);
  EXPECT_EQ(closed().size(), 2U);
  restart_with_all();
  store();
  EXPECT_EQ(engine->connections(), 0U);
}

TEST_F(Resumption, TheOlderOneEndsOnceThereIsRoom) {
  open_two_with_no_close();
  restart_with_all();
  log->no_room = true;
  store();
  EXPECT_TRUE(closed().empty());
  log->no_room = false;
  store();
  EXPECT_EQ(closed().size(), 1U);
  EXPECT_EQ(engine->connections(), 1U);
}

}  // namespace
}  // namespace holdfast::stack::testing
