// What every part of a world shares: time, the trace, the count of faults and the verdict.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/units.h"
#include "sim/event_queue.h"
#include "sim/faults.h"

namespace holdfast::sim {

// All that happened, folded into one number as it happens (equal for equal seeds), and printed where that was asked
// for.
class Trace {
 public:
  explicit Trace(bool print) : print_(print) {}

  bool printing() const { return print_; }
  std::uint64_t hash() const { return hash_; }
  void fold(std::uint64_t value);
  void fold(Bytes bytes);
  void line(Time now, const std::string& text);

 private:
  bool print_;
  std::uint64_t hash_ = 0;
};

// The first broken rule of a world.
class Verdict {
 public:
  void fail(std::string why) {
    if (!failure_) failure_ = std::move(why);
  }
  bool failed() const { return failure_.has_value(); }
  const std::string& why() const { return *failure_; }

 private:
  std::optional<std::string> failure_;
};

struct Context {
  explicit Context(bool print) : trace(print) {}

  EventQueue queue;
  Trace trace;
  FaultCounts faults;
  Verdict verdict;

  Time now() const { return queue.now(); }

  // Something worth a line in the trace.
  template <class... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    if (!trace.printing()) return;
    trace.line(queue.now(), fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  void fail(fmt::format_string<Args...> format, Args&&... args) {
    std::string why = fmt::format(format, std::forward<Args>(args)...);
    note("FAILURE: {}", why);
    verdict.fail(fmt::format("at {:.6f} s: {}", seconds(), why));
  }

 private:
  double seconds() const { return std::chrono::duration<double>(queue.now().time_since_epoch()).count(); }
};

}  // namespace holdfast::sim
