// Of a frame that goes on as it came.
#pragma once

#include "base/endian.h"
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

}  // namespace holdfast::cluster
