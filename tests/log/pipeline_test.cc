#include "log/pipeline.h"

#include <gtest/gtest.h>

#include <deque>

#include "log/policy.h"
#include "log/spread.h"

namespace holdfast::log {
namespace {

using std::chrono::milliseconds;

constexpr std::uint32_t kBatch = 512U << 10;

// A sender that never stops, and a store that takes so long for the way and so long for each byte, one after the other.
class Store {
 public:
  Store(Duration how_far, double bytes_per_second, unsigned most = 32)
      : rate_(bytes_per_second), way(how_far), pipeline(4, most, kBatch) {}

  void run(Duration how_long) {
    const Time end = now_ + how_long;
    while (now_ < end) {
      pipeline.tell_time(now_);
      while (!under_way_.empty() && under_way_.front().second <= now_) {
        pipeline.durable(under_way_.front().first);
        under_way_.pop_front();
      }
      while (under_way_.size() < pipeline.limit()) {
        next_ = next_ + 1;
        free_at_ = std::max(free_at_, now_) + Duration(static_cast<std::int64_t>(kBatch / rate_ * 1e9));
        pipeline.issued(next_, kBatch);
        under_way_.emplace_back(next_, free_at_ + way);
        stored_ += kBatch;
      }
      most_ = std::max(most_, under_way_.size());
      now_ = under_way_.front().second;
    }
  }
  double rate_over(Duration how_long) {
    stored_ = 0;
    const Time begun = now_;
    run(how_long);
    return static_cast<double>(stored_) / std::chrono::duration<double>(now_ - begun).count();
  }
  std::size_t most() const { return most_; }

 private:
  double rate_;
  Time now_{std::chrono::seconds(1)};
  Time free_at_{};
  Lsn next_;
  std::deque<std::pair<Lsn, Time>> under_way_;
  std::uint64_t stored_ = 0;
  std::size_t most_ = 0;

 public:
  Duration way;
  Pipeline pipeline;
};

TEST(Pipeline, FourBatchesWhereTheStoreIsNear) {
  Store store(milliseconds(1), 200e6);
  store.run(std::chrono::seconds(30));
  EXPECT_EQ(store.most(), 4U);
}

TEST(Pipeline, FillsTheWayToAStoreThatIsFarAway) {
  Store store(milliseconds(50), 100e6);
  store.run(std::chrono::seconds(2));
  EXPECT_GT(store.rate_over(std::chrono::seconds(5)), 95e6);  // four batches would be 38
}

TEST(Pipeline, HoldsNoMoreThanTwiceWhatTheWayHolds) {
  Store store(milliseconds(50), 40e6);
  store.run(std::chrono::seconds(60));  // long enough that the way's time was looked for anew
  EXPECT_LE(store.most(), 2 * 40e6 * (0.05 + kBatch / 40e6) / kBatch + 1);
  EXPECT_GT(store.rate_over(std::chrono::seconds(20)), 38e6);
}

TEST(Pipeline, NeverHoldsMoreThanItsBound) {
  Store store(milliseconds(300), 1e9);
  store.run(std::chrono::seconds(30));
  EXPECT_EQ(store.most(), 16U);
  EXPECT_EQ(store.pipeline.take_report().most_bytes_at_once, Pipeline::most_bytes(kBatch));
}

TEST(Pipeline, FillsAWayThatHasBecomeLonger) {
  Store store(milliseconds(20), 80e6);
  store.run(std::chrono::seconds(5));
  store.way = milliseconds(80);
  store.run(std::chrono::seconds(15));
  EXPECT_GT(store.rate_over(std::chrono::seconds(5)), 75e6);
}

TEST(Pipeline, NothingIsFarAwayWhereOnlyDirectoriesStore) {
  Store store(milliseconds(50), 100e6, 4);
  store.run(std::chrono::seconds(5));
  EXPECT_EQ(store.most(), 4U);
  Pipeline pipeline(4, 4, kBatch);
  pipeline.tell_time(Time{std::chrono::seconds(1)});
  pipeline.issued(Lsn{1}, 4096);
  pipeline.tell_time(Time{milliseconds(1050)});
  pipeline.durable(Lsn{1});
  EXPECT_EQ(pipeline.due(), kNever);
}

TEST(Pipeline, ASmallBatchIsDueInASixteenthOfTheWay) {
  Pipeline pipeline(4, 32, kBatch);
  const Time begun{std::chrono::seconds(1)};
  pipeline.tell_time(begun);
  pipeline.issued(Lsn{1}, 4096);
  EXPECT_EQ(pipeline.due(), kNever);  // how far it is is not known yet
  pipeline.tell_time(begun + milliseconds(48));
  pipeline.durable(Lsn{1});
  pipeline.issued(Lsn{2}, 4096);
  EXPECT_EQ(pipeline.due(), begun + milliseconds(51));
}

TEST(Pipeline, SmallBatchesLeaveRoomForLargeOnes) {
  Pipeline pipeline(4, 32, kBatch);
  pipeline.tell_time(Time{std::chrono::seconds(1)});
  pipeline.issued(Lsn{1}, 4096);
  pipeline.tell_time(Time{milliseconds(1050)});
  pipeline.durable(Lsn{1});
  for (std::uint64_t lsn = 2; lsn < 18; ++lsn) pipeline.issued(Lsn{lsn}, 4096);
  EXPECT_EQ(pipeline.due(), kNever);
  EXPECT_EQ(pipeline.limit(), 32U);
}

TEST(Pipeline, TellsWhatWasWritten) {
  Pipeline pipeline(4, 32, kBatch);
  pipeline.tell_time(Time{std::chrono::seconds(1)});
  for (const std::uint64_t lsn : {1U, 2U, 3U}) pipeline.issued(Lsn{lsn}, 4096 * lsn);
  pipeline.tell_time(Time{milliseconds(1020)});
  pipeline.durable(Lsn{2});
  const WritesReport report = pipeline.take_report();
  EXPECT_EQ(report.batches, 3U);
  EXPECT_EQ(report.bytes, 6 * 4096U);
  EXPECT_EQ(report.median_batch, 8192U);
  EXPECT_EQ(report.largest_batch, 3 * 4096U);
  EXPECT_EQ(report.most_at_once, 3U);
  EXPECT_EQ(report.most_bytes_at_once, 6 * 4096U);
  EXPECT_EQ(report.longest_time, milliseconds(20));
  const WritesReport next = pipeline.take_report();
  EXPECT_EQ(next.batches, 0U);
  EXPECT_EQ(next.most_at_once, 1U);
}

TEST(Policy, ASmallBatchLeavesBesideOthersOnceItIsDue) {
  IssueState state{.in_flight = 3,
                   .max_in_flight = 32,
                   .few = 4,
                   .open_wanted = true,
                   .flush = true,
                   .open_bytes = 64,
                   .full_bytes = 512};
  EXPECT_EQ(decide_issue(state), IssueDecision::kNothing);
  state.due = true;
  EXPECT_EQ(decide_issue(state), IssueDecision::kSealAndIssue);
  state.flush = false;
  EXPECT_EQ(decide_issue(state), IssueDecision::kNothing);
}

TEST(Policy, APartOfABatchIsWorthAWriteWhileFewAreUnderWay) {
  IssueState state{
      .in_flight = 3, .max_in_flight = 32, .few = 4, .open_wanted = true, .open_bytes = 128, .full_bytes = 512};
  EXPECT_EQ(decide_issue(state), IssueDecision::kSealAndIssue);
  state.in_flight = 4;
  EXPECT_EQ(decide_issue(state), IssueDecision::kNothing);
}

TEST(Spread, MedianIsRightToAnEighth) {
  for (const std::uint64_t value : {0ULL, 1ULL, 7ULL, 8ULL, 4096ULL, 524288ULL, 1ULL << 40, ~0ULL >> 2}) {
    Spread spread;
    spread.add(0);
    for (int i = 0; i < 3; ++i) spread.add(value);
    EXPECT_LE(spread.median(), value);
    EXPECT_GE(spread.median(), value - value / 8);
    EXPECT_EQ(spread.largest(), value);
  }
}

}  // namespace
}  // namespace holdfast::log
