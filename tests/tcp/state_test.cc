#include "tcp/state.h"

#include <gtest/gtest.h>

#include <map>

namespace holdfast::tcp {
namespace {

constexpr State kAll[] = {State::kSynSent,  State::kSynReceived, State::kEstablished, State::kFinWait1,
                          State::kFinWait2, State::kCloseWait,   State::kClosing,     State::kLastAck,
                          State::kTimeWait, State::kClosed};
constexpr Event kEvents[] = {Event::kSynArrives, Event::kSynAcked, Event::kFinSent,
                             Event::kFinArrives, Event::kFinAcked, Event::kTimeWaitOver};

// The whole of RFC 9293 figure 5 below LISTEN: these arrows and no others.
TEST(State, HasTheArrowsOfFigure5AndNoOthers) {
  const std::map<std::pair<State, Event>, State> figure5 = {
      {{State::kSynSent, Event::kSynArrives}, State::kSynReceived},
      {{State::kSynSent, Event::kSynAcked}, State::kEstablished},
      {{State::kSynReceived, Event::kSynAcked}, State::kEstablished},
      {{State::kEstablished, Event::kFinSent}, State::kFinWait1},
      {{State::kEstablished, Event::kFinArrives}, State::kCloseWait},
      {{State::kFinWait1, Event::kFinAcked}, State::kFinWait2},
      {{State::kFinWait1, Event::kFinArrives}, State::kClosing},
      {{State::kFinWait2, Event::kFinArrives}, State::kTimeWait},
      {{State::kCloseWait, Event::kFinSent}, State::kLastAck},
      {{State::kClosing, Event::kFinAcked}, State::kTimeWait},
      {{State::kLastAck, Event::kFinAcked}, State::kClosed},
      {{State::kTimeWait, Event::kTimeWaitOver}, State::kClosed},
  };
  for (const State state : kAll) {
    for (const Event event : kEvents) {
      const auto expected = figure5.find({state, event});
      const auto got = next_state(state, event);
      if (expected == figure5.end()) {
        EXPECT_FALSE(got) << to_string(state) << " " << static_cast<int>(event);
      } else {
        EXPECT_EQ(got, expected->second) << to_string(state);
      }
    }
  }
}

TEST(State, EndsFromEverywhereOnce) {
  for (const State state : kAll) {
    if (state == State::kClosed) continue;
    EXPECT_EQ(next_state(state, Event::kEnd), State::kClosed);
  }
  EXPECT_FALSE(next_state(State::kClosed, Event::kEnd));
}

TEST(State, IsCalledAsInTheRfc) {
  EXPECT_EQ(to_string(State::kFinWait1), "FIN-WAIT-1");
  EXPECT_EQ(to_string(State::kTimeWait), "TIME-WAIT");
}

}  // namespace
}  // namespace holdfast::tcp
