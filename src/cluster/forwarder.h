// Passes on frames that still reach a former owner of an address: switches and neighbours learn where the new one is
// from its announcement, and until they have, segments of its connections come here. Nothing is asserted by it.
//
// Pure, but for the sink.
#pragma once

#include "wire/address.h"
#include "wire/frame.h"

namespace holdfast::cluster {

class Forwarder {
 public:
  // Frames for `address` that came to `own` are sent to `to`.
  Forwarder(wire::MacAddress own, wire::Ipv4Address address, wire::MacAddress to)
      : own_(own), address_(address), to_(to) {}

  // False where the frame is not of that kind: it is dropped. Overwrites parts of the frame.
  bool pass_on(const wire::RxFrame& frame, wire::FrameSink& sink) const;

 private:
  wire::MacAddress own_;
  wire::Ipv4Address address_;
  wire::MacAddress to_;
};

}  // namespace holdfast::cluster
