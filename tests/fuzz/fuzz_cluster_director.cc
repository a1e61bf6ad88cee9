// cluster::Director fed with frames, while buckets come and go. The input is a list of steps; each starts with a byte
// that says what:
//   00..bf  a frame: flags, 2 bytes of length, the frame. The flags say which parts to repair, so that the fuzzer need
//           not guess addresses and checksums, and what the link says of it
//   c0..ff  a bucket: 1 byte of number, and where it is
// What is decided must lie within the frame, a worker's bucket must be here, and what is passed on has a hop less.
#include <algorithm>
#include <vector>

#include "base/endian.h"
#include "cluster/director.h"
#include "fuzz/check.h"
#include "fuzz/input.h"
#include "wire/checksum.h"

namespace holdfast::cluster {
namespace {

constexpr wire::MacAddress kOwn{{2, 0, 0, 0, 0, 1}}, kOther{{2, 0, 0, 0, 0, 2}}, kRouter{{2, 0, 0, 0, 0, 9}};
constexpr wire::Ipv4Address kService{0x0a4d0002}, kNode{0x0a4d0065};
constexpr std::uint32_t kCount = 8;

void repair(MutableBytes frame, std::uint8_t flags) {
  if (frame.size() < wire::kEthernetHeader + 20) return;
  if ((flags & 1) != 0) {
    wire::emit_ethernet({kOwn, (flags & 2) != 0 ? kRouter : kOther, wire::kEtherTypeIpv4}, frame);
    frame[14] = std::byte{0x45};
    store_be32(frame.data() + 14 + 16, kService.value);
    store_be16(frame.data() + 14 + 2, static_cast<std::uint16_t>(frame.size() - 14));
  }
  if ((flags & 4) != 0) {
    store_be16(frame.data() + 14 + 10, 0);
    store_be16(frame.data() + 14 + 10, wire::internet_checksum(Bytes(frame).subspan(14, 20)));
  }
}

bool lies_in(Bytes piece, Bytes whole) {
  return piece.empty() || (piece.data() >= whole.data() && piece.data() + piece.size() <= whole.data() + whole.size());
}

}  // namespace
}  // namespace holdfast::cluster

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  using namespace holdfast::cluster;
  fuzz::Input input(Bytes(reinterpret_cast<const std::byte*>(data), size));
  Director director({.mac = kOwn, .service = kService, .node = kNode, .buckets = {.count = kCount, .key = {}}});
  director.set_members({kOther});
  bool here[kCount] = {};
  while (!input.empty()) {
    const std::uint8_t step = input.byte();
    if (step >= 0xc0) {
      const Bucket bucket = input.byte() % kCount;
      here[bucket] = step < 0xe0;
      if (step < 0xe0) {
        director.here(bucket);
      } else if (step < 0xf0) {
        director.there(bucket, kOther);
      } else {
        director.nobody(bucket);
      }
      continue;
    }
    const std::uint8_t flags = input.byte();
    const Bytes bytes = input.take(input.word());
    std::vector<std::byte> frame(bytes.begin(), bytes.end());
    repair(frame, flags);
    const std::vector<std::byte> before = frame;
    wire::RxFrame received;
    received.head = frame;
    received.checksum_trusted = (flags & 8) != 0;
    received.gso_size = (flags & 16) != 0 ? 1448 : 0;
    const auto decision = director.decide(received);
    if (decision.verdict == Director::Verdict::kWorker) {
      FUZZ_CHECK(decision.bucket < kCount && here[decision.bucket] && frame == before);
      FUZZ_CHECK(before.size() > wire::kEthernetHeader);
    }
    if (decision.verdict != Director::Verdict::kTransmit) continue;
    const auto& out = decision.out;
    const bool arp = before[12] == std::byte{8} && before[13] == std::byte{6};
    if (arp) continue;
    FUZZ_CHECK(lies_in(out.head, frame) && lies_in(out.payload[0], frame) && out.size() == frame.size());
    FUZZ_CHECK(frame[14 + 8] == std::byte(std::to_integer<unsigned>(before[14 + 8]) - 1));
    const Bytes datagram = Bytes(frame).subspan(wire::kEthernetHeader);
    FUZZ_CHECK(wire::parse_ipv4(datagram, datagram.size()).has_value());
    FUZZ_CHECK(!out.needs_checksum || out.checksum_start + out.checksum_offset + 2U <= frame.size());
  }
  return 0;
}
