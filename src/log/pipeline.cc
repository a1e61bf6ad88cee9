#include "log/pipeline.h"

#include <algorithm>

#include "base/assert.h"

namespace holdfast::log {
namespace {

constexpr Duration kRatesFor = std::chrono::seconds(2);
constexpr Duration kTimeFor = std::chrono::seconds(10);
// Twice what the way holds: the rate can double in each write time, and no batch waits there longer than the way takes.
constexpr std::uint64_t kGain = 2;
constexpr int kPausePart = 16;
constexpr int kNearlyPart = 8;

}  // namespace

void Pipeline::tell_time(Time now) {
  now_ = now;
  if (far() && !looking_ && count_ > 0 && now_ - write_time_at_ > kTimeFor) {
    looking_ = true;
    looking_after_ = last_issued_;
  }
}

void Pipeline::issued(Lsn lsn, std::uint64_t bytes) {
  HF_ASSERT(count_ < batches_.size());
  batches_[(first_ + count_++) % batches_.size()] = {lsn, bytes, now_, stored_};
  bytes_ += bytes;
  last_issue_ = now_;
  last_issued_ = lsn;
  sizes_.add(bytes);
  ++report_.batches;
  report_.bytes += bytes;
  report_.most_at_once = std::max(report_.most_at_once, static_cast<unsigned>(count_));
  report_.most_bytes_at_once = std::max(report_.most_bytes_at_once, bytes_);
}

void Pipeline::durable(Lsn upto) {
  while (count_ > 0 && batches_[first_].lsn <= upto) {
    const Written batch = batches_[first_];
    first_ = (first_ + 1) % batches_.size();
    --count_;
    stored(batch);
  }
}

void Pipeline::stored(const Written& batch) {
  bytes_ -= batch.bytes;
  stored_ += batch.bytes;
  const Duration took = now_ - batch.at;
  if (took <= Duration::zero()) return;
  times_.add(static_cast<std::uint64_t>(took.count()));
  note_write_time(batch, took);
  const double seconds = std::chrono::duration<double>(took).count();
  note_rate(static_cast<std::uint64_t>(static_cast<double>(stored_ - batch.stored_then) / seconds));
}

void Pipeline::note_rate(std::uint64_t rate) {
  if (now_ - rate_since_ > kRatesFor) {
    rate_before_ = rate_;
    rate_ = 0;
    rate_since_ = now_;
  }
  rate_ = std::max(rate_, rate);
}

void Pipeline::note_write_time(const Written& batch, Duration took) {
  const bool looked = looking_ && batch.lsn > looking_after_;
  if (!looked && write_time_ > Duration::zero() && took > write_time_ + write_time_ / kNearlyPart) return;
  write_time_ = looked || write_time_ == Duration::zero() ? took : std::min(write_time_, took);
  write_time_at_ = now_;
  looking_ = false;
}

std::uint64_t Pipeline::bound() const {
  const double held =
      static_cast<double>(std::max(rate_, rate_before_)) * std::chrono::duration<double>(write_time_).count();
  const std::uint64_t least = std::uint64_t{least_} * batch_size_;
  return std::clamp(kGain * static_cast<std::uint64_t>(held), least, std::max(least, most_bytes(batch_size_)));
}

unsigned Pipeline::limit() const {
  if (!far() || looking_) return least_;
  return bytes_ + batch_size_ <= bound() ? most_ : std::clamp(static_cast<unsigned>(count_), least_, most_);
}

// With half of them under way it is batches that are missing, and not bytes: then they fill.
Time Pipeline::due() const { return far() && count_ < most_ / 2 ? last_issue_ + write_time_ / kPausePart : kNever; }

WritesReport Pipeline::take_report() {
  WritesReport report = report_;
  report.median_batch = sizes_.median();
  report.largest_batch = sizes_.largest();
  report.median_time = Duration(static_cast<std::int64_t>(times_.median()));
  report.longest_time = Duration(static_cast<std::int64_t>(times_.largest()));
  report.least_time = write_time_;
  report.limit = far() ? most_ : least_;
  report.limit_bytes = far() ? bound() : std::uint64_t{least_} * batch_size_;
  report_ = WritesReport();
  sizes_.clear();
  times_.clear();
  report_.most_at_once = static_cast<unsigned>(count_);
  report_.most_bytes_at_once = bytes_;
  return report;
}

}  // namespace holdfast::log
