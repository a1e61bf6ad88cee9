// Datagrams from fragments (RFC 791 section 3.2, RFC 815), in bounded memory.
//
// - Fragments that contradict each other (different bytes for one place, two ends) discard the whole datagram, and what
// is
//   still to come of it, as RFC 5722 asks of IPv6: overlaps serve only to slip something past a filter. A repeated
//   fragment that says the same again is ignored.
// - Time-out 30 s from the first fragment, as Linux, not the 60 to 120 s of RFC 1122 section 3.3.2: fragments are never
// minutes
//   apart today, while IP identifications repeat within seconds at today's rates (RFC 4963), and each second is memory
//   that a stranger can hold.
// - At most kDatagrams, kBlocks of memory, and a share of both per source. What is oldest makes room.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/units.h"
#include "wire/ipv4.h"

namespace holdfast::ip {

class Reassembly {
 public:
  static constexpr std::size_t kDatagrams = 64;
  static constexpr std::size_t kBlock = 2048;                  // bytes
  static constexpr std::size_t kBlocks = (1U << 20) / kBlock;  // 1 MiB in all
  static constexpr std::size_t kDatagramsPerSource = 16;
  static constexpr std::size_t kBlocksPerSource = kBlocks / 2;
  static constexpr Duration kTimeout = std::chrono::seconds(30);

  // What comes out: a header without options as if the datagram had never been cut, and its payload.
  struct Whole {
    wire::Ipv4Header header;
    std::size_t length = 0;  // of the payload
  };
  // What timed out: for ICMP time exceeded.
  struct Expired {
    wire::Ipv4Header header;  // of the first fragment
    Bytes first;              // the first bytes of its payload, at least 8
  };

  // `dropped` counts the datagrams that were discarded.
  explicit Reassembly(std::uint64_t& dropped);

  // Takes a fragment that wire::parse_ipv4() accepted; its payload lies in two pieces. When it completes a datagram,
  // the payload is written to `into`, which holds 65,535 bytes.
  std::optional<Whole> add(const wire::Ipv4Header& header, Bytes head, Bytes body, Time now, MutableBytes into);

  Time deadline() const { return deadline_; }
  // Discards one datagram whose time is over; false when there is none. `expired` is set where its first fragment came,
  // and valid until the next call.
  bool expire(Time now, std::optional<Expired>& expired);

  std::size_t datagrams() const;
  std::size_t free_blocks() const { return free_.size(); }

 private:
  static constexpr std::size_t kUnit = 8;  // bytes: fragments start at multiples of it
  static constexpr std::size_t kUnits = 65536 / kUnit;
  static constexpr std::uint16_t kNoBlock = 0xffff;

  struct Datagram {
    bool in_use = false;
    bool rejected = false;   // kept without memory until its time is over, so that what is still to come finds it
    wire::Ipv4Header first;  // the first fragment's, once it came; before, only source, destination, protocol, id
    bool has_first = false;
    bool has_last = false;
    std::size_t end = 0;       // of the payload once has_last, else of what came
    std::size_t received = 0;  // bytes
    unsigned ecn_seen = 0;     // bit n: a fragment with ECN bits n came
    Time expires{};
    std::size_t block_count = 0;
    std::array<std::uint16_t, 65536 / kBlock> blocks{};
    std::bitset<kUnits> units;
  };

  Datagram* find(const wire::Ipv4Header& header);
  Datagram& open(const wire::Ipv4Header& header, Time now);
  Datagram* oldest(std::optional<wire::Ipv4Address> source, const Datagram* but, bool with_blocks);
  bool make_room(Datagram& datagram, std::size_t begin, std::size_t end);
  static bool agrees(const Datagram& datagram, const wire::Ipv4Header& header, std::size_t end, bool repeats);
  bool same_bytes(const Datagram& datagram, std::size_t begin, Bytes head, Bytes body) const;
  template <class Visit>
  void for_each_piece(const Datagram& datagram, std::size_t begin, std::size_t length, Visit visit) const;
  void store(Datagram& datagram, std::size_t begin, Bytes bytes);
  void reject(Datagram& datagram);
  void release_blocks(Datagram& datagram);
  std::optional<Whole> finish(Datagram& datagram, MutableBytes into);

  std::uint64_t& dropped_;
  std::unique_ptr<std::byte[]> memory_;
  std::vector<std::uint16_t> free_;
  std::vector<Datagram> datagrams_;
  Time deadline_ = kNever;  // no later than the first time-out
};

}  // namespace holdfast::ip
