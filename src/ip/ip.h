// IPv4 over Ethernet for one interface: addresses, routes, neighbours (ARP, RFC 826, 5227), reassembly (RFC 791, 815),
// path MTU, ICMP (RFC 792, 1122). Sans-I/O, one owner thread, bounded tables, no allocation for a frame on the fast
// path.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/units.h"
#include "wire/address.h"
#include "wire/frame.h"
#include "wire/tcp.h"

namespace holdfast::ip {

struct Config {
  wire::MacAddress mac;
  wire::Ipv4Prefix address;                  // ours
  std::optional<wire::Ipv4Address> gateway;  // for what is not on the link
  std::uint16_t mtu = 1500;                  // 576..65535, of IP datagrams
  std::uint64_t seed = 0;                    // for IP identification and jitter: random bits from outside
  // Where several hosts have the address together: whether it is ours to answer for on the link, what neighbours are
  // asked as (0.0.0.0: a probe, which moves nobody's mind), and whether another host may have passed on what comes, so
  // that its source's MAC is not the sender's.
  bool announces = true;
  std::optional<wire::Ipv4Address> asks_as{};
  bool relayed = false;
};

// A TCP segment for our address. `segment` starts at the TCP header; header and the first part lie in `head`, more
// payload may lie in `body`.
struct TcpDatagram {
  wire::Ipv4Address source, destination;
  MutableBytes head;
  MutableBytes body;
  bool checksum_trusted = false;  // always set: Ip has verified the checksum, or the link vouched for it
  std::uint16_t gso_size = 0;
  std::uint8_t ecn = 0;  // the IP header's two ECN bits
};

// ICMP error that quotes a segment of ours.
struct IcmpError {
  std::uint8_t type = 0, code = 0;
  std::uint16_t next_hop_mtu = 0;  // type 3 code 4; 0 where not given
  wire::FourTuple tuple;           // local is us
  wire::SeqNum seq;                // quoted
};

class Host {
 public:
  virtual ~Host() = default;
  virtual void on_tcp(const TcpDatagram& datagram, Time now) = 0;
  virtual void on_icmp_error(const IcmpError& error, Time now) = 0;
  // A frame that asserts something about who we are (ARP reply, announcement, ICMP unreachable): it leaves once a log
  // write begun after this call is stored; `frame` is copied by the callee where it waits. At most 1,514 bytes.
  virtual void transmit_assertion(Bytes frame, Time now) = 0;
  // Calls Ip::on_clearance() once a log write begun after this call is stored; not from inside of it. For assertions
  // that can be made anew at any time: nothing needs to be kept meanwhile.
  virtual void request_clearance(Time now) = 0;
};

struct Counters {
  std::uint64_t frames_in = 0, frames_out = 0, bytes_in = 0, bytes_out = 0;
  std::uint64_t dropped_malformed = 0;  // by wire::ParseError, any layer up to IP and ICMP
  std::uint64_t dropped_not_for_us = 0;
  std::uint64_t dropped_unsupported = 0;  // EtherType or protocol
  std::uint64_t dropped_reassembly = 0;   // overlap, time-out, out of bounds, table full
  std::uint64_t dropped_unresolved = 0;   // no neighbour: queue full, or never answered
  std::uint64_t arp_conflicts = 0;        // someone else claimed our address
  std::uint64_t icmp_echo = 0;
  // dropped_malformed, by wire::ParseError. Bad TCP and UDP checksums count here too.
  std::array<std::uint64_t, 6> malformed{};
  std::uint64_t dropped_no_route =
      0;  // to send: not on the link and no gateway, or no destination that a host can have
  std::uint64_t dropped_rate_limited = 0;  // answers that we did not give: ARP replies, echoes, ICMP errors
  std::uint64_t icmp_errors_in = 0;        // that quote a segment of ours
  std::uint64_t icmp_errors_out = 0;
  std::uint64_t reassembled = 0;  // datagrams
};

class Ip {
 public:
  Ip(Host& host, wire::FrameSink& link, const Config& config);
  ~Ip();
  Ip(const Ip&) = delete;
  Ip& operator=(const Ip&) = delete;

  // Any frame from the link, hostile until checked. TCP segments that reach Host::on_tcp() have a source that a host
  // can have, our destination, a checksum that holds, at least 20 bytes, and their whole header (as far as it exists)
  // in `head`. FrameSink::transmit() and Host::transmit_assertion() may not call this from inside.
  void on_frame(const wire::RxFrame& frame, Time now);
  Time deadline() const;
  void on_deadline(Time now);

  // What Host::request_clearance() has asked for.
  void on_clearance(Time now);

  // Announces our address (gratuitous ARP, RFC 5227 section 2.3: two announcements 2 s apart). Until it is called
  // nothing is answered.
  void announce(Time now);

  // Sends one TCP segment. `header` is the emitted TCP header with a zero checksum; Ip fills in the checksum (the
  // pseudo-header's sum, when the link takes checksum offload: always set needs_checksum and let the link finish it).
  // payload size <= 65,495 - header. Queued (bounded, copied) while the neighbour is being resolved.
  void send_tcp(wire::Ipv4Address destination, MutableBytes header, const std::array<Bytes, 2>& payload,
                std::uint16_t gso_size, Time now);
  // ICMP destination unreachable (RFC 1122 section 3.2.2.1 rules on when not to) is left out for TCP: TCP answers with
  // RST.

  // Tells the peer at once that its segment with this sequence number has not arrived (ICMP host unreachable, RFC 792).
  // An assertion: the caller sees to rule 1. Dropped where the peer's link address is not known.
  void send_host_unreachable(const wire::FourTuple& tuple, wire::SeqNum seq);

  // Whether a segment to this destination would leave at once (or never can). Where not, its neighbour is asked for.
  bool settled(wire::Ipv4Address destination, Time now);

  // Largest datagram to this destination: the interface's MTU lowered by what ICMP told (RFC 1191, bounded below by
  // 552, forgotten after 10 min).
  std::uint16_t path_mtu(wire::Ipv4Address destination, Time now) const;
  const Config& config() const;
  const Counters& counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::ip
