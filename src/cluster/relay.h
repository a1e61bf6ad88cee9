// Of a frame that goes on as it came.
#pragma once

#include "base/endian.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/frame.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace holdfast::cluster {

// The TCP checksum of what came may be left to be done: then we leave it to be done, too. `datagram`: from its IP
// header on, with at least the TCP header's checksum in it.
inline void leave_checksum_to_be_done(MutableBytes datagram, const wire::Ipv4Header& ip, std::uint16_t gso_size,
                                      wire::TxFrame& out) {
  const auto length = static_cast<std::uint32_t>(ip.payload_length());
  store_be16(datagram.data() + ip.header_length + wire::kTcpChecksumOffset,
             wire::pseudo_header_sum(ip.source, ip.destination, ip.protocol, length));
  out.needs_checksum = true;
  out.checksum_start = static_cast<std::uint16_t>(wire::kEthernetHeader + ip.header_length);
  out.checksum_offset = wire::kTcpChecksumOffset;
  out.gso_size = gso_size;
}

// As a router does it (RFC 1812, section 5.3.1), so that no frame goes round for ever. False: it has gone far enough,
// and is dropped. `datagram`: with its whole IP header.
inline bool lower_ttl(MutableBytes datagram) {
  constexpr std::size_t kTtl = 8, kChecksum = 10;
  if (std::to_integer<unsigned>(datagram[kTtl]) <= 1) return false;
  const std::uint16_t before = load_be16(datagram.data() + kTtl);
  const auto after = static_cast<std::uint16_t>(before - 0x100);
  store_be16(datagram.data() + kTtl, after);
  store_be16(datagram.data() + kChecksum, wire::update_checksum(load_be16(datagram.data() + kChecksum), before, after));
  return true;
}

}  // namespace holdfast::cluster
