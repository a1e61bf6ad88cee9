// A frame on the simulated wire: one owner, one piece, with the offload marks of a virtual device. And what devices and
// routers do to frames: finish a checksum, cut a super-segment, fragment a datagram.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "wire/frame.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace holdfast::sim {

struct Packet {
  std::vector<std::byte> bytes;  // from the Ethernet header on
  bool partial_checksum = false;
  std::uint16_t checksum_start = 0, checksum_offset = 0;
  std::uint16_t gso_size = 0;
  // Known to the oracle, not to any host:
  bool forged = false;                   // by the attacker
  bool for_this_life = false;            // of the node: lost at its death, whoever keeps frames
  std::shared_ptr<const Packet> whole;   // what this is a fragment of
  unsigned fragment = 0, fragments = 0;  // which of how many
};

Packet gather(const wire::TxFrame& frame);

// Stores the checksum that the sender left to the device. Not for super-segments.
void finish_checksum(Packet& packet);

// Cuts a super-segment into frames with checksums of their own, as a device does (TSO): increasing sequence numbers and
// IP ids, FIN and PSH on the last only, CWR on the first only. Any other frame: itself, checksum finished.
std::vector<Packet> cut(const Packet& packet);

// Cuts an IPv4 datagram into fragments of at most `mtu` bytes each; itself where it is no larger, or no IPv4. Its
// checksum is finished. Takes no notice of Don't Fragment: a misconfigured tunnel.
std::vector<Packet> fragment(const Packet& packet, std::uint16_t mtu);

// A frame read for the oracle and the trace, by the packet formats alone.
struct TcpView {
  wire::MacAddress source_mac, destination_mac;
  wire::Ipv4Header ip;
  wire::TcpHeader tcp;
  std::size_t payload_at = 0;  // in Packet::bytes
  std::size_t payload_size = 0;
  wire::Endpoint source() const { return {ip.source, tcp.source}; }
  wire::Endpoint destination() const { return {ip.destination, tcp.destination}; }
  // Sequence space that it takes.
  std::uint32_t length() const {
    return static_cast<std::uint32_t>(payload_size) + (tcp.flags.syn ? 1 : 0) + (tcp.flags.fin ? 1 : 0);
  }
};
// Nothing where the frame is no whole TCP segment, or a checksum is wrong (the partial one counts as right where it is
// the pseudo-header's).
std::optional<TcpView> view_tcp(const Packet& packet);

// Builds a frame with one TCP segment, checksums finished.
Packet make_tcp(wire::MacAddress from, wire::MacAddress to, wire::Ipv4Address source, wire::Ipv4Address destination,
                const wire::TcpHeader& header, Bytes payload, std::uint16_t ip_id = 0);

// One line for people: "TCP 10.0.0.2:40000 > 10.0.0.1:9 SA seq 1 ack 2 win 3 len 4 <mss 1460>".
std::string describe(const Packet& packet);

}  // namespace holdfast::sim
