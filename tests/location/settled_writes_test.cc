#include "location/rados/settled_writes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::location::rados {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

// Keeps what is submitted; the test ends it.
class Kept final : public ObjectStore {
 public:
  void submit(std::uint64_t tag, const ObjectWrite& write) override {
    tags.push_back(tag);
    submitted.push_back(write.object);
  }
  void submit(std::uint64_t /*tag*/, const ObjectRead& /*read*/) override {}
  std::vector<Finished> take() override { return {}; }
  void wait(Time /*until*/) override {}
  Time now() const override { return time; }
  void wake_at(Time /*when*/) override {}
  std::string client_address() const override { return {}; }
  void shut_out(const std::string& /*client_address*/) override {}
  void notify(const std::string& /*object*/) override {}
  void look_at(const std::string&, const std::string&) override {}
  void ask_lookers(std::uint64_t, const std::string&) override {}
  bool notified() override { return false; }

  // Since the last call.
  std::vector<std::string> taken() { return std::exchange(submitted, {}); }

  std::vector<std::uint64_t> tags;  // in the order of submission
  std::vector<std::string> submitted;
  Time time{};
};

class SettledWritesTest : public testing::Test {
 protected:
  void begin(const std::string& object, bool tell_full = false) {
    ObjectWrite write;
    write.object = object;
    writes.begin(
        write,
        [this, object](const Finished& finished) {
          ended.push_back(object + " " + std::to_string(static_cast<int>(finished.outcome)));
          if (then) std::exchange(then, {})();
        },
        tell_full);
  }
  // The n-th submission ends.
  void end(std::size_t n, Outcome outcome) {
    Finished finished;
    finished.tag = store.tags.at(n);
    finished.outcome = outcome;
    writes.finished(finished);
  }
  std::vector<std::string> done() { return std::exchange(ended, {}); }

  Kept store;
  SettledWrites writes{store, 1};
  std::vector<std::string> ended;
  std::function<void()> then;  // at the next end
};

const std::string kOk = " 0", kGuarded = " 3", kNoRoom = " 5";

TEST_F(SettledWritesTest, GoOutAtOnceAndEndInAnyOrder) {
  begin("a");
  begin("b");
  EXPECT_THAT(store.taken(), ElementsAre("a", "b"));
  end(1, Outcome::kDone);
  EXPECT_THAT(done(), ElementsAre("b" + kOk));
  end(0, Outcome::kGuard);
  EXPECT_THAT(done(), ElementsAre("a" + kGuarded));
  EXPECT_TRUE(writes.idle());
}

TEST_F(SettledWritesTest, AfterATimeOutNothingNewIsBegunUntilAllThatWasOnItsWayIsKnown) {
  begin("a");
  begin("b");
  begin("c");
  store.taken();
  end(0, Outcome::kUnknown);
  EXPECT_TRUE(writes.unsettled());
  begin("d");
  EXPECT_THAT(store.taken(), ElementsAre());
  end(2, Outcome::kDone);
  EXPECT_THAT(store.taken(), ElementsAre());  // b is still on its way
  end(1, Outcome::kUnknown);
  EXPECT_THAT(store.taken(), ElementsAre("a", "b"));  // the same once more, in their order
  EXPECT_EQ(store.tags[3], store.tags[0]);
  end(4, Outcome::kDone);
  EXPECT_THAT(store.taken(), ElementsAre());
  end(3, Outcome::kUnknown);  // again
  EXPECT_THAT(store.taken(), ElementsAre("a"));
  EXPECT_THAT(done(), ElementsAre("c" + kOk, "b" + kOk));
  end(5, Outcome::kDone);
  EXPECT_THAT(store.taken(), ElementsAre("d"));
  EXPECT_FALSE(writes.unsettled());
  EXPECT_THAT(done(), ElementsAre("a" + kOk));
}

TEST_F(SettledWritesTest, WhatFollowsFromAnEndWaitsToo) {
  begin("a");
  begin("b");
  store.taken();
  end(0, Outcome::kUnknown);
  then = [this] { begin("after b"); };
  end(1, Outcome::kDone);
  EXPECT_THAT(store.taken(), ElementsAre("a"));
  then = [this] { begin("after a"); };
  end(2, Outcome::kDone);
  EXPECT_THAT(store.taken(), ElementsAre("after b", "after a"));
}

TEST_F(SettledWritesTest, NoRoomIsWaitedForUnlessItIsToBeTold) {
  begin("a");
  begin("b", true);
  store.taken();
  end(0, Outcome::kFull);
  EXPECT_TRUE(writes.full());
  end(1, Outcome::kFull);
  EXPECT_THAT(done(), ElementsAre("b" + kNoRoom));
  EXPECT_THAT(store.taken(), ElementsAre());
  EXPECT_EQ(writes.wake_at(), store.time + milliseconds(100));
  store.time += milliseconds(99);
  writes.tick(store.time);
  EXPECT_THAT(store.taken(), ElementsAre());
  store.time += milliseconds(1);
  writes.tick(store.time);
  EXPECT_THAT(store.taken(), ElementsAre("a"));
  end(2, Outcome::kDone);
  EXPECT_FALSE(writes.full());
  EXPECT_EQ(writes.wake_at(), kNever);
}

TEST_F(SettledWritesTest, GivenUpEndsWhatHasNotBegunAndTheRestAsItEnds) {
  begin("a");
  begin("b");
  store.taken();
  end(0, Outcome::kUnknown);
  begin("c");
  then = [this] { begin("after a"); };
  writes.give_up(Outcome::kGuard);
  EXPECT_THAT(done(), ElementsAre("a" + kGuarded, "after a" + kGuarded, "c" + kGuarded));
  EXPECT_FALSE(writes.idle());
  then = [this] { begin("after b"); };
  end(1, Outcome::kUnknown);  // whatever became of it: it is not ours to find out
  EXPECT_THAT(done(), ElementsAre("b" + kGuarded, "after b" + kGuarded));
  EXPECT_TRUE(writes.idle());
  EXPECT_THAT(store.taken(), ElementsAre());
}

TEST_F(SettledWritesTest, GivenUpFromWithinAnEnd) {
  begin("a");
  begin("b");
  store.taken();
  end(1, Outcome::kUnknown);
  begin("c");
  then = [this] { writes.give_up(Outcome::kShutOut); };
  end(0, Outcome::kShutOut);
  EXPECT_THAT(done(), ElementsAre("a 6", "b 6", "c 6"));
  EXPECT_THAT(store.taken(), ElementsAre());
  EXPECT_TRUE(writes.idle());
}

TEST_F(SettledWritesTest, AbandonedEndsAllAtOnceAndWhateverComesLaterIsIgnored) {
  begin("a");
  begin("b");
  begin("c");
  store.taken();
  end(0, Outcome::kUnknown);
  begin("d");
  then = [this] { begin("after a"); };
  writes.abandon();
  EXPECT_THAT(done(), ElementsAre("a 4", "after a 4", "b 4", "c 4", "d 4"));
  EXPECT_TRUE(writes.idle());
  end(1, Outcome::kDone);
  end(2, Outcome::kUnknown);
  EXPECT_THAT(done(), ElementsAre());
  EXPECT_THAT(store.taken(), ElementsAre());
}

TEST_F(SettledWritesTest, TellSinceWhenNoneWasAnswered) {
  store.time += milliseconds(5);
  begin("a");
  begin("b");
  EXPECT_EQ(writes.unanswered_since(), store.time);
  store.time += milliseconds(1);
  end(1, Outcome::kUnknown);
  EXPECT_EQ(writes.unanswered_since(), store.time - milliseconds(1)) << "that is no answer";
  end(0, Outcome::kDone);
  EXPECT_EQ(writes.unanswered_since(), store.time);
  EXPECT_EQ(writes.oldest_object(), "b");
}

TEST_F(SettledWritesTest, BeginAnewAsIfNothingHadBeen) {
  begin("a");
  end(0, Outcome::kUnknown);  // at once on its way again
  writes.give_up(Outcome::kGuard);
  end(1, Outcome::kGuard);
  writes.begin_anew();
  store.taken();
  begin("b");
  EXPECT_THAT(store.taken(), ElementsAre("b"));
  EXPECT_FALSE(writes.unsettled());
}

}  // namespace
}  // namespace holdfast::location::rados
