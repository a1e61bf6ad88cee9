// ip::Ip fed with frames, time and segments to send. The input is a list of steps; each starts with a byte that says
// what:
//   00..bf  a frame: flags, 2 bytes of length, 2 bytes of split, then the frame. The flags say which parts to repair,
//   so that
//           the fuzzer need not guess checksums, and whether the link trusts it.
//   c0..df  time passes: 2 bytes of milliseconds
//   e0..ff  a segment to send: 1 byte of address, 2 bytes of length
// The same frame is given to a second Ip in one piece: both must do the same.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/endian.h"
#include "fuzz/check.h"
#include "fuzz/input.h"
#include "ip/ip.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"

namespace holdfast::ip {
namespace {

using Buffer = std::vector<std::byte>;

constexpr wire::MacAddress kOurMac{{2, 0, 0, 0, 0, 0x0b}};
constexpr wire::Ipv4Address kUs{0x0a4d0002};

// Folds all that leaves into one number, to compare two worlds.
struct World final : Host, wire::FrameSink {
  World()
      : ip(*this, *this, {.mac = kOurMac, .address = {kUs, 24}, .gateway = wire::Ipv4Address{0x0a4d00fe}, .seed = 1}) {
    ip.announce(now);
  }
  void fold(Bytes bytes) {
    for (const std::byte b : bytes) digest = (digest ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3ULL;
  }
  void transmit(const wire::TxFrame& frame) override {
    FUZZ_CHECK(frame.head.size() >= wire::kEthernetHeader && frame.size() <= wire::kEthernetHeader + 65535U);
    fold(frame.head);
    for (const Bytes piece : frame.payload) fold(piece);
  }
  void on_tcp(const TcpDatagram& d, Time) override {
    FUZZ_CHECK(d.destination == kUs && d.source.is_unicast_host() && d.source != kUs);
    FUZZ_CHECK(d.head.size() >= wire::kTcpMinHeader && d.checksum_trusted);
    const std::size_t header = std::to_integer<std::size_t>(d.head[12] >> 4) * 4;
    FUZZ_CHECK(d.head.size() >= header || d.body.empty());
    fold(d.head);
    fold(d.body);
  }
  void on_icmp_error(const IcmpError& error, Time) override {
    FUZZ_CHECK(error.tuple.local.address == kUs);
    digest += error.seq.value;
  }
  void transmit_assertion(Bytes frame, Time) override {
    FUZZ_CHECK(frame.size() <= 1514 && wire::parse_ethernet(frame)->source == kOurMac);
    fold(frame);
  }
  void request_clearance(Time) override { FUZZ_CHECK(!std::exchange(clearance_asked, true)); }
  void receive(Bytes frame, std::size_t split, bool trusted) {
    Buffer head(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(split));
    Buffer body(frame.begin() + static_cast<std::ptrdiff_t>(split), frame.end());
    ip.on_frame({.head = head, .body = body, .checksum_trusted = trusted}, now);
  }
  void advance(Duration by) {
    const Time until = now + by;
    for (int steps = 0; ip.deadline() <= until; ++steps) {
      FUZZ_CHECK(steps < 10000);
      now = std::max(now, ip.deadline());
      ip.on_deadline(now);
      if (std::exchange(clearance_asked, false)) ip.on_clearance(now);
    }
    now = until;
  }
  void send(wire::Ipv4Address to, std::size_t length) {
    Buffer header(20);
    header[12] = std::byte{0x50};
    const Buffer payload(length);
    ip.send_tcp(to, header, {payload, {}}, 1448, now);
  }

  bool clearance_asked = false;
  Time now{std::chrono::seconds(1)};
  std::uint64_t digest = 0;
  Ip ip;
};

void repair(Buffer& frame, unsigned flags) {
  if ((flags & 1) != 0 && frame.size() >= 14) {
    wire::store_mac(frame.data(), kOurMac);
    store_be16(frame.data() + 12, wire::kEtherTypeIpv4);
  }
  const std::size_t header = frame.size() > 14 ? wire::ipv4_header_length(Bytes(frame).subspan(14)) : 0;
  if ((flags & 2) == 0 || header < 20 || frame.size() < 14 + header) return;
  store_be32(frame.data() + 30, kUs.value);
  if ((flags & 4) != 0)
    store_be16(frame.data() + 16, static_cast<std::uint16_t>(std::min<std::size_t>(frame.size() - 14, 65535)));
  store_be16(frame.data() + 24, 0);
  store_be16(frame.data() + 24, wire::internet_checksum(Bytes(frame).subspan(14, header)));
  const MutableBytes icmp = MutableBytes(frame).subspan(14 + header);
  if (frame[23] != std::byte{wire::kProtocolIcmp} || icmp.size() < 8) return;
  store_be16(icmp.data() + 2, 0);
  store_be16(icmp.data() + 2, wire::internet_checksum(icmp));
}

void run(fuzz::Input input) {
  World split_world;
  World whole_world;
  for (int steps = 0; !input.empty() && steps < 200; ++steps) {
    const unsigned what = input.byte();
    if (what < 0xc0) {
      const unsigned flags = input.byte();
      const std::size_t size = input.word();
      const std::size_t split = input.word();
      const Bytes taken = input.take(size);
      Buffer frame(taken.begin(), taken.end());
      repair(frame, flags);
      split_world.receive(frame, std::min(split, frame.size()), (flags & 8) != 0);
      whole_world.receive(frame, frame.size(), (flags & 8) != 0);
    } else if (what < 0xe0) {
      const auto by = std::chrono::milliseconds(input.word());
      split_world.advance(by);
      whole_world.advance(by);
    } else {
      const wire::Ipv4Address to{0x0a4d0000U + input.byte()};
      const std::size_t length = std::min<std::size_t>(input.word(), 65000);
      split_world.send(to, length);
      whole_world.send(to, length);
    }
    FUZZ_CHECK(split_world.digest == whole_world.digest);
    FUZZ_CHECK(split_world.ip.deadline() == whole_world.ip.deadline());
  }
  split_world.advance(std::chrono::hours(1));
  FUZZ_CHECK(split_world.ip.deadline() == kNever);
}

}  // namespace
}  // namespace holdfast::ip

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  holdfast::ip::run(holdfast::fuzz::Input(std::as_bytes(std::span(data, size))));
  return 0;
}
