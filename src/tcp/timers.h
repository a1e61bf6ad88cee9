// The deadlines of one connection. The owner calls back at the earliest.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/units.h"

namespace holdfast::tcp {

enum class Timer : std::uint8_t {
  kRetransmit,  // SYN, data or FIN in flight; or the zero-window probe
  kDelayedAck,
  kTimeWait,
  kKeepalive,
  kConfirm,  // N-way handshake: a roll call, or the proof that step N arrived
  kCount
};

class Timers {
 public:
  Timers() { at_.fill(kNever); }
  void set(Timer timer, Time at) { at_[index(timer)] = at; }
  void cancel(Timer timer) { at_[index(timer)] = kNever; }
  void cancel_all() { at_.fill(kNever); }
  bool armed(Timer timer) const { return at_[index(timer)] != kNever; }
  Time earliest() const { return *std::ranges::min_element(at_); }
  // True once for a timer whose time has come: it is cancelled.
  bool expired(Timer timer, Time now) {
    if (!armed(timer) || at_[index(timer)] > now) return false;
    cancel(timer);
    return true;
  }

 private:
  static constexpr std::size_t index(Timer timer) { return static_cast<std::size_t>(timer); }
  std::array<Time, static_cast<std::size_t>(Timer::kCount)> at_;
};

}  // namespace holdfast::tcp
