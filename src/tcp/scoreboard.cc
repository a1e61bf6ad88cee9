#include "tcp/scoreboard.h"

#include <algorithm>

#include "base/assert.h"

namespace holdfast::tcp {
namespace {
constexpr std::size_t kSmall = 16;       // runs whose memory an idle connection may keep
constexpr std::uint32_t kDupThresh = 3;  // RFC 6675 section 2
}  // namespace

void Scoreboard::count(const Run& run, int sign) {
  const std::uint64_t n = sign > 0 ? run.length() : 0 - run.length();
  total_ += n;
  if (run.sacked) {
    sacked_ += n;
  } else if (run.lost) {
    lost_ += n;
    if (run.retransmitted) retransmitted_ += n;
  }
}

void Scoreboard::add(StreamOffset begin, StreamOffset end, Time now, bool again) {
  HF_ASSERT(begin < end && (empty() || runs_.back().end == begin));
  compact();
  runs_.push_back(Run{.begin = begin, .end = end, .sent = now, .ever_retransmitted = again});
  total_ += end - begin;
}

// Room at the front is used again before the vector grows.
void Scoreboard::compact() {
  if (head_ == 0 || runs_.size() < runs_.capacity()) return;
  runs_.erase(runs_.begin(), first());
  head_ = 0;
}

Scoreboard::Acked Scoreboard::acknowledge(StreamOffset una) {
  Acked acked;
  bool again = false;
  while (!empty() && first()->begin < una) {
    Run& run = *first();
    if (!run.sacked) acked.sent = run.sent;  // a SACKed one arrived before, who knows when
    again |= run.ever_retransmitted;
    if (run.end <= una) {
      count(run, -1);
      ++head_;
      continue;
    }
    Run done = run;
    done.end = una;
    count(done, -1);
    run.begin = una;
  }
  if (again) acked.sent.reset();
  if (empty()) {
    clear();
  } else {
    acked.head_is_sacked = first()->sacked;
  }
  return acked;
}

void Scoreboard::clear() {
  if (runs_.capacity() > kSmall) std::vector<Run>().swap(runs_);
  runs_.clear();
  head_ = 0;
  total_ = sacked_ = lost_ = retransmitted_ = 0;
  highest_sacked_ = lost_below_ = StreamOffset{};
}

Scoreboard::Iterator Scoreboard::find(StreamOffset at) {
  const auto run = std::upper_bound(first(), runs_.end(), at, [](StreamOffset a, const Run& r) { return a < r.end; });
  return run != runs_.end() && run->begin <= at ? run : runs_.end();
}

Scoreboard::Iterator Scoreboard::split(Iterator run, StreamOffset at) {
  HF_ASSERT(run->begin < at && at < run->end);
  Run second = *run;
  second.begin = at;
  run->end = at;
  return runs_.insert(run + 1, second);
}

Scoreboard::Sacked Scoreboard::sack(StreamOffset begin, StreamOffset end, std::uint32_t mss) {
  if (empty() || begin >= end) return {};
  begin = std::max(begin, first()->begin);
  end = std::min(end, runs_.back().end);
  if (begin >= end) return {};
  Sacked result;
  for (Iterator run = find(begin); run != runs_.end() && run->begin < end;)
    run = sack_run(run, begin, end, mss, result);
  return result;
}

// Marks the part of `run` inside [begin, end), rounded inwards to whole segments, and returns the next run to look at.
Scoreboard::Iterator Scoreboard::sack_run(Iterator run, StreamOffset begin, StreamOffset end, std::uint32_t mss,
                                          Sacked& result) {
  if (run->sacked) return run + 1;
  // Small segments that were merged are known by their own edges.
  const std::uint64_t granule = run->length() <= mss ? 1 : mss;
  StreamOffset from = run->begin;
  if (begin > from) from = from + ((begin - from) + granule - 1) / granule * granule;
  StreamOffset to = run->end;
  if (end < to) to = run->begin + (end - run->begin) / granule * granule;
  if (from >= to) return run + 1;
  if (from > run->begin) run = split(run, from);
  if (to < run->end) run = split(run, to) - 1;
  count(*run, -1);
  run->sacked = true;
  run->lost = run->retransmitted = false;
  count(*run, 1);
  result.news += run->length();
  if (!run->ever_retransmitted && (!result.sent || *result.sent < run->sent)) result.sent = run->sent;
  highest_sacked_ = std::max(highest_sacked_, run->end);
  return merge_sacked(run) + 1;
}

Scoreboard::Iterator Scoreboard::merge_sacked(Iterator run) {
  if (run + 1 != runs_.end() && (run + 1)->sacked) {
    run->end = (run + 1)->end;
    run->ever_retransmitted |= (run + 1)->ever_retransmitted;
    run = runs_.erase(run + 1) - 1;
  }
  if (run != first() && (run - 1)->sacked) {
    (run - 1)->end = run->end;
    (run - 1)->ever_retransmitted |= run->ever_retransmitted;
    run = runs_.erase(run) - 1;
  }
  return run;
}

void Scoreboard::mark_lost(Run& run) {
  count(run, -1);
  run.lost = true;
  run.retransmitted = false;
  count(run, 1);
}

bool Scoreboard::mark_lost_by_sack(std::uint32_t mss) {
  std::uint64_t bytes_above = 0;
  std::uint32_t ranges_above = 0;
  bool news = false;
  StreamOffset watermark = lost_below_;
  for (Iterator run = runs_.end(); run != first();) {
    --run;
    if (run->end <= lost_below_) break;
    if (run->sacked) {
      bytes_above += run->length();
      ++ranges_above;
      continue;
    }
    if (ranges_above < kDupThresh && bytes_above <= (kDupThresh - 1) * mss) continue;
    watermark = std::max(watermark, run->end);
    if (run->lost) continue;
    // A super-segment is many segments: those of its end may have fewer than the threshold above only if nothing is
    // SACKed behind them, which does not hold here.
    mark_lost(*run);
    news = true;
  }
  lost_below_ = watermark;
  return news;
}

bool Scoreboard::mark_head_lost(std::uint64_t length) {
  if (empty() || first()->sacked || first()->lost) return false;
  if (length < first()->length()) split(first(), first()->begin + length);
  mark_lost(*first());
  return true;
}

void Scoreboard::mark_all_lost() {
  for (Iterator run = first(); run != runs_.end(); ++run) {
    if (!run->sacked) mark_lost(*run);
  }
  merge_lost();
}

// What left in many small segments need not go again in as many: a short queue that dropped them once would drop them
// each time.
void Scoreboard::merge_lost() {
  if (empty()) return;
  const auto mergeable = [](const Run& run) { return run.lost && !run.retransmitted; };
  Iterator last = first();
  for (Iterator run = last + 1; run != runs_.end(); ++run) {
    if (mergeable(*last) && mergeable(*run)) {
      last->end = run->end;
      last->sent = run->sent;
      last->ever_retransmitted |= run->ever_retransmitted;
    } else {
      *++last = *run;
    }
  }
  runs_.erase(last + 1, runs_.end());
}

void Scoreboard::forget_sacks() {
  for (Iterator run = first(); run != runs_.end(); ++run) {
    if (!run->sacked) continue;
    count(*run, -1);
    run->sacked = false;
    run->lost = run->retransmitted = false;
    count(*run, 1);
  }
  highest_sacked_ = lost_below_ = StreamOffset{};
}

std::optional<Scoreboard::Range> Scoreboard::next_lost() const {
  if (lost_ == retransmitted_) return std::nullopt;
  for (std::size_t i = head_; i < runs_.size(); ++i) {
    if (runs_[i].lost && !runs_[i].retransmitted) return Range{runs_[i].begin, runs_[i].end};
  }
  return std::nullopt;
}

std::optional<Scoreboard::Range> Scoreboard::last_unsacked() const {
  for (std::size_t i = runs_.size(); i > head_; --i) {
    if (!runs_[i - 1].sacked) return Range{runs_[i - 1].begin, runs_[i - 1].end};
  }
  return std::nullopt;
}

void Scoreboard::retransmitted(StreamOffset begin, StreamOffset end, Time now) {
  Iterator run = find(begin);
  HF_ASSERT(run != runs_.end() && end <= run->end);
  if (begin > run->begin) run = split(run, begin);
  if (end < run->end) run = split(run, end) - 1;
  count(*run, -1);
  run->retransmitted = run->lost;
  run->ever_retransmitted = true;
  run->sent = now;
  count(*run, 1);
}

}  // namespace holdfast::tcp
