// The header that a TAP device puts before each frame (virtio 1.2, section 5.1.6): which checksum is missing, how a
// super-segment is to be cut. Spelt out here because <linux/virtio_net.h> does not compile as C++.
#pragma once

#include <cstdint>

namespace holdfast::link {

struct VirtioNetHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1;  // flags: sum from checksum_start, store checksum_offset behind it
  // flags: verified already. Only ever read: the kernel drops a frame that we send with it and a checksum of 0.
  static constexpr std::uint8_t kDataValid = 2;
  static constexpr std::uint8_t kGsoNone = 0;
  static constexpr std::uint8_t kGsoTcpIpv4 = 1;
  static constexpr std::uint8_t kGsoTcpIpv6 = 4;
  static constexpr std::uint8_t kGsoEcn = 0x80;  // or-ed to the others

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  // Little-endian, as the device is told (TUNSETVNETLE).
  std::uint16_t header_length = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  std::uint16_t buffer_count = 0;  // of a "mergeable" device; 0 here
};
static_assert(sizeof(VirtioNetHeader) == 12);

}  // namespace holdfast::link
