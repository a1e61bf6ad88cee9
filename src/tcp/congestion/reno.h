// RFC 5681, counting bytes (RFC 3465).
#pragma once

#include "tcp/congestion/congestion.h"

namespace holdfast::tcp {

class Reno final : public Congestion {
 public:
  Reno(std::uint32_t mss, std::uint64_t initial) : Congestion(mss, initial) {}

 private:
  void avoid(std::uint64_t bytes, Duration rtt, Time now) override;
  std::uint64_t reduced(std::uint64_t flight, bool timeout) override;

  std::uint64_t acked_ = 0;  // towards the next segment of growth
};

}  // namespace holdfast::tcp
