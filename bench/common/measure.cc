#include "common/measure.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <ctime>
#include <iterator>

namespace holdfast::bench {

std::int64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Values below 2^kSubBits have a bucket each; above, each power of two is cut into 2^kSubBits.
std::size_t Histogram::bucket(std::uint64_t ns) {
  const auto width = static_cast<unsigned>(std::bit_width(ns));
  if (width <= kSubBits) return ns;
  const unsigned shift = width - kSubBits - 1;
  return (std::size_t{shift} << kSubBits) + (ns >> shift);
}

std::uint64_t Histogram::upper_edge(std::size_t bucket) {
  if (bucket < (std::size_t{2} << kSubBits)) return bucket;
  const std::size_t shift = (bucket >> kSubBits) - 1;
  const std::uint64_t mantissa = (bucket & ((std::size_t{1} << kSubBits) - 1)) + (std::size_t{1} << kSubBits);
  return ((mantissa + 1) << shift) - 1;
}

void Histogram::add(std::int64_t ns, std::uint64_t times) {
  ns = std::max<std::int64_t>(ns, 0);
  buckets_[std::min(bucket(static_cast<std::uint64_t>(ns)), kBuckets - 1)] += times;
  count_ += times;
  sum_ += static_cast<double>(ns) * static_cast<double>(times);
  max_ = std::max(max_, ns);
}

std::int64_t Histogram::quantile(double q) const {
  if (count_ == 0) return 0;
  const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count_ - 1));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen > rank) return std::min(static_cast<std::int64_t>(upper_edge(i)), max_);
  }
  return max_;
}

std::string Histogram::to_json() const {
  const auto us = [](std::int64_t ns) { return static_cast<double>(ns) / 1e3; };
  std::string out = fmt::format(
      R"({{"count": {}, "mean_us": {:.3f}, "p50_us": {:.3f}, "p90_us": {:.3f}, "p99_us": {:.3f}, "max_us": {:.3f}, "histogram_us": [)",
      count_, count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_) / 1e3, us(quantile(0.5)), us(quantile(0.9)),
      us(quantile(0.99)), us(max_));
  const char* separator = "";
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (buckets_[i] == 0) continue;
    fmt::format_to(std::back_inserter(out), "{}[{:.3f}, {}]", separator, us(static_cast<std::int64_t>(upper_edge(i))),
                   buckets_[i]);
    separator = ", ";
  }
  return out + "]}";
}

}  // namespace holdfast::bench
