// One address over several logs: its connections fall into buckets, each of which is a log with an owner, by a keyed
// hash of the 4-tuple. The key is the service's, so that all of its nodes see the same, and a stranger cannot aim.
//
// Pure; no allocation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/prf.h"
#include "base/units.h"
#include "wire/address.h"
#include "wire/frame.h"

namespace holdfast::cluster {

using Bucket = std::uint32_t;
inline constexpr std::uint32_t kMostBuckets = 256;

struct Buckets {
  std::uint32_t count = 1;
  Secret key;
  friend bool operator==(const Buckets&, const Buckets&) = default;
};

Bucket bucket_of(const Buckets& buckets, const wire::FourTuple& tuple);

// The service group whose log a bucket is: "NAME.b007".
std::string bucket_group(const std::string& service, Bucket bucket);

// What an IPv4 datagram for the service's address is, as far as that matters here.
struct Classified {
  enum class Kind : std::uint8_t {
    kTcp,        // a segment
    kIcmpError,  // about a segment of ours
    kOther,      // for the address as such: the first bucket's
    kFragment,   // nobody knows whose
    kStray,      // malformed, or for another address
  };
  Kind kind = Kind::kStray;
  Bucket bucket = 0;
};
// `datagram`: at least the headers, of `available` bytes in all.
Classified classify(const Buckets& buckets, wire::Ipv4Address service, Bytes datagram, std::size_t available);

// For the one who serves `bucket`: false for a segment that is not of it.
bool belongs(const Buckets& buckets, wire::Ipv4Address service, Bucket bucket, const wire::RxFrame& frame);

}  // namespace holdfast::cluster
