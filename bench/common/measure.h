// What the programs of the bench measure: time, their own CPU, and the spread of latencies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace holdfast::bench {

// CLOCK_MONOTONIC in nanoseconds: comparable between the processes of one machine.
std::int64_t now_ns();

// User and system time of this process so far, in seconds. Threads of the kernel that work for it (io-wq) are included,
// interrupts and work queues are not: for those, measure the whole machine.
double cpu_seconds();

// Latencies in nanoseconds, in buckets of at most 1/64 of their value: adding is cheap, and quantiles are within 1.6 %.
class Histogram {
 public:
  void add(std::int64_t ns, std::uint64_t times = 1);
  void clear() { *this = Histogram{}; }

  std::uint64_t count() const { return count_; }
  // The upper edge of the bucket that holds the q-quantile (0 <= q <= 1), never above the maximum; 0 if empty.
  std::int64_t quantile(double q) const;
  std::int64_t max() const { return max_; }

  // {"count": …, "mean_us": …, "p50_us": …, "p90_us": …, "p99_us": …, "max_us": …, "histogram_us": [[upper edge,
  // count], …]}
  std::string to_json() const;

 private:
  static constexpr unsigned kSubBits = 6;
  static constexpr std::size_t kBuckets = (64 - kSubBits) << kSubBits;
  static std::size_t bucket(std::uint64_t ns);
  static std::uint64_t upper_edge(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  double sum_ = 0;
  std::int64_t max_ = 0;
};

}  // namespace holdfast::bench
