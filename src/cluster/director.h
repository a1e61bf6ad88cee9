// Where a frame goes on a node that serves some of an address's buckets: to a worker here, on to the node that has its
// bucket, or nowhere. A datagram that another node has passed on already is not passed on again, and each time its TTL
// goes down, so that nothing goes round while nodes see the buckets' owners differently for a moment.
//
// Pure; no allocation for a frame.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "cluster/bucket.h"
#include "wire/address.h"
#include "wire/arp.h"
#include "wire/ethernet.h"
#include "wire/frame.h"
#include "wire/ipv4.h"

namespace holdfast::cluster {

struct DirectorCounters {
  std::uint64_t here = 0, passed_on = 0, answered = 0;
  std::uint64_t dropped_fragments = 0;
  std::uint64_t dropped_strays = 0;   // malformed, or for somebody else
  std::uint64_t dropped_nobodys = 0;  // no owner of the bucket is known
  std::uint64_t dropped_again = 0;    // passed on once already, or its TTL is over
};

class Director {
 public:
  struct Config {
    wire::MacAddress mac;
    wire::Ipv4Address service;
    std::optional<wire::Ipv4Address> node;  // this node's own: ARP requests for it are answered
    Buckets buckets;
  };
  explicit Director(const Config& config);

  // ---- Who has what ----
  void here(Bucket bucket) { routes_[bucket] = {Route::Kind::kHere, {}}; }
  void there(Bucket bucket, const wire::MacAddress& mac) { routes_[bucket] = {Route::Kind::kThere, mac}; }
  void nobody(Bucket bucket) { routes_[bucket] = {}; }
  // The other nodes: what comes from one of these has been passed on.
  void set_members(std::vector<wire::MacAddress> macs);

  enum class Verdict : std::uint8_t {
    kDrop,
    kWorker,      // to that of `bucket`, as it came
    kAllWorkers,  // as it came
    kTransmit,    // `out`, whose bytes lie in the frame, which was changed, or in here, until the next call
  };
  struct Decision {
    Verdict verdict = Verdict::kDrop;
    Bucket bucket = 0;
    wire::TxFrame out;
  };
  // `frame`: in one piece, in `head`.
  Decision decide(const wire::RxFrame& frame);

  // Says at which MAC the node's own address is; false without one.
  bool announcement(wire::TxFrame& out);

  const DirectorCounters& counters() const { return counters_; }

 private:
  struct Route {
    enum class Kind : std::uint8_t { kNobody, kHere, kThere };
    Kind kind = Kind::kNobody;
    wire::MacAddress mac;
  };

  Decision on_arp(Bytes packet);
  Decision on_ipv4(const wire::RxFrame& frame, const wire::MacAddress& from);
  Decision pass_on(const wire::RxFrame& frame, const wire::MacAddress& to);
  wire::TxFrame arp(const wire::MacAddress& to, const wire::ArpPacket& packet);

  const Config config_;
  std::vector<Route> routes_;
  std::vector<wire::MacAddress> members_;
  std::array<std::byte, wire::kEthernetHeader + wire::kArpPacket> answer_{};
  DirectorCounters counters_;
};

}  // namespace holdfast::cluster
