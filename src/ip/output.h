// The two ways out: at once, and after a log write (ARCHITECTURE.md, rule 1).
#pragma once

#include "ip/ip.h"

namespace holdfast::ip {

class Output {
 public:
  Output(Host& host, wire::FrameSink& link, Counters& counters) : host_(host), link_(link), counters_(counters) {}

  // Leaves now.
  void transmit(const wire::TxFrame& frame) {
    count(frame.size());
    link_.transmit(frame);
  }

  // Asserts who we are: leaves once that is known to be still true.
  void transmit_assertion(Bytes frame, Time now) {
    count(frame.size());
    host_.transmit_assertion(frame, now);
  }

  bool assertions_stand_still() const { return host_.assertions_stand_still(); }

 private:
  void count(std::size_t size) {
    ++counters_.frames_out;
    counters_.bytes_out += size;
  }

  Host& host_;
  wire::FrameSink& link_;
  Counters& counters_;
};

}  // namespace holdfast::ip
