#include "gate/timer_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace holdfast::gate {
namespace {

Time at(int ms) { return Time{} + std::chrono::milliseconds(ms); }

TEST(TimerHeap, GivesEntriesInTheOrderOfTheirDeadlines) {
  TimerHeap heap;
  std::mt19937 random(1);
  std::vector<std::unique_ptr<Entry>> entries;
  for (int i = 0; i < 500; ++i) {
    entries.push_back(std::make_unique<Entry>());
    heap.set(*entries.back(), at(static_cast<int>(random() % 1000)));
  }
  for (int i = 0; i < 200; ++i) heap.set(*entries[random() % 500], at(static_cast<int>(random() % 1000)));
  for (int i = 0; i < 100; ++i) heap.erase(*entries[random() % 500]);
  Time last{};
  for (Time next = heap.next(); next != kNever; next = heap.next()) {
    EXPECT_GE(next, last);
    last = next;
    EXPECT_EQ(heap.pop_due(next - Duration(1)), nullptr);
    EXPECT_NE(heap.pop_due(next), nullptr);
  }
}

TEST(TimerHeap, AnEarlierDeadlineMovesAnEntryForwardAndALaterOneDoesNot) {
  TimerHeap heap;
  Entry entry;
  heap.set(entry, at(10));
  heap.set(entry, at(20));
  EXPECT_EQ(heap.next(), at(10));
  heap.set(entry, at(5));
  EXPECT_EQ(heap.next(), at(5));
  EXPECT_EQ(heap.pop_due(at(5)), &entry);
  EXPECT_EQ(heap.next(), kNever);
}

}  // namespace
}  // namespace holdfast::gate
