// Our address as others see it: answers ARP requests for it, announces and defends it (RFC 826, RFC 5227). All of these
// assert that we own it, so each leaves through Host::transmit_assertion().
#pragma once

#include "base/units.h"
#include "ip/ip.h"
#include "ip/output.h"
#include "ip/token_bucket.h"
#include "wire/arp.h"

namespace holdfast::ip {

class OwnAddress {
 public:
  static constexpr int kAnnouncements = 2;                                // ANNOUNCE_NUM
  static constexpr Duration kAnnounceInterval = std::chrono::seconds(2);  // ANNOUNCE_INTERVAL
  static constexpr Duration kDefendInterval = std::chrono::seconds(10);   // DEFEND_INTERVAL
  static constexpr int kRepliesPerSecond = 1000;

  OwnAddress(Output& output, const Config& config, Counters& counters)
      : output_(output), config_(config), counters_(counters) {}

  // From now on our address is answered for.
  void announce(Time now);
  bool announced() const { return announced_; }

  // A request for our address.
  void answer(const wire::ArpPacket& request, Time now);
  // Somebody else used our address as its own.
  void defend(Time now);

  Time deadline() const { return next_announcement_; }
  void on_deadline(Time now);

 private:
  void send_announcement(Time now);
  void send(const wire::MacAddress& to, const wire::ArpPacket& packet, Time now);

  Output& output_;
  const Config& config_;
  Counters& counters_;
  bool announced_ = false;
  int announcements_left_ = 0;
  Time next_announcement_ = kNever;
  TokenBucket replies_{kRepliesPerSecond, kRepliesPerSecond / 10};
  Time defend_again_ = Time::min();
};

}  // namespace holdfast::ip
