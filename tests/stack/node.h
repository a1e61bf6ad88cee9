// A whole node on a log that stores when the test says so, and peers whose frames the test writes by hand. The node is
// 10.77.0.2, the link 10.77.0.0/16.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/endian.h"
#include "gate/fake_log.h"
#include "stack/engine.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace holdfast::stack::testing {

using namespace std::chrono_literals;
using gate::FakeLog;
using Buffer = std::vector<std::byte>;

inline constexpr wire::MacAddress kNodeMac{{2, 0, 0, 0, 0, 0x0b}}, kPeerMac{{2, 0, 0, 0, 0, 0x0a}};
inline constexpr wire::Ipv4Address kNode{0x0a4d0002}, kPeer{0x0a4d0001};
inline constexpr wire::Port kStore{7000}, kEcho{7001};
// What is sent to lower ports of a peer is not looked at.
inline constexpr wire::Port kFirstClient{1024};

// A segment that left.
struct Sent {
  wire::Ipv4Address to;
  wire::TcpHeader header;
  Buffer payload;
};

class Link final : public wire::FrameSink {
 public:
  void transmit(const wire::TxFrame& frame) override {
    ++frames;
    if (quiet) return;
    Buffer bytes(frame.head.begin(), frame.head.end());
    for (const Bytes piece : frame.payload) bytes.insert(bytes.end(), piece.begin(), piece.end());
    const Bytes datagram = Bytes(bytes).subspan(wire::kEthernetHeader);
    if (wire::parse_ethernet(bytes)->ether_type != wire::kEtherTypeIpv4) return;
    const auto ip = wire::parse_ipv4(datagram, datagram.size());
    if (!ip || ip->protocol != wire::kProtocolTcp) return;
    const Bytes segment = datagram.subspan(wire::kIpv4MinHeader);
    const auto tcp = wire::parse_tcp(segment);
    ASSERT_TRUE(tcp);
    if (tcp->header.destination < kFirstClient) return;
    const Bytes payload = segment.subspan(tcp->header_length);
    sent.push_back({ip->destination, tcp->header, {payload.begin(), payload.end()}});
  }
  std::deque<Sent> sent;
  std::uint64_t frames = 0;
  bool quiet = false;  // count only
};

class Node : public ::testing::Test {
 protected:
  Node() {
    config.ip.mac = kNodeMac;
    config.ip.address = {kNode, 16};
    config.services = {{ServiceKind::kStore, kStore}, {ServiceKind::kEcho, kEcho}};
    config.max_half_open = 2;
    config.wall_clock = 1'700'000'000'000'000'000;
    for (std::size_t i = 0; i < 16; ++i) secrets.cookie.key[i] = static_cast<std::byte>(i + 1);
  }

  void start(gate::Recovery recovered = {}, bool is_volatile = false) {
    std::unique_ptr<FakeLog> owned;
    if (!is_volatile) {
      owned = std::make_unique<FakeLog>();
      owned->secrets_ = secrets;
      owned->stored = owned->complete_upto = Lsn{0};  // not even the epoch's start
      owned->ceiling = owned->issued_ceiling = ceiling;
      owned->ids = streams;
    }
    log = owned.get();
    std::array<std::byte, 64> random;
    for (std::byte& b : random) b = static_cast<std::byte>(++drawn * 37);
    engine = std::make_unique<Engine>(config, link, std::move(owned), std::move(recovered), random, nullptr, now);
  }
  // Dies and comes back, with what was stored; `recovered` has it too.
  void restart() {
    gate::Recovery recovered;
    for (const FakeLog::Appended& record : log->records) {
      if (record.lsn <= log->stored) recovered.on_record(record.header, record.payload, {});
    }
    ceiling = log->ceiling;
    streams = log->ids;
    engine.reset();
    link.sent.clear();
    start(std::move(recovered));
  }

  // Lets storage end everything that is under way, and what comes of it.
  void store() {
    for (int i = 0; i < 6; ++i) {
      engine->pump(now);
      if (log != nullptr) log->complete();
    }
    engine->pump(now);
  }
  void begin() {
    start();
    store();
    meet();
  }
  void pass(Duration d) {
    const Time until = now + d;
    while (engine->deadline() < until) {
      now = std::max(now, engine->deadline());
      store();
    }
    now = until;
    store();
    meet();  // or the peer's link address would be forgotten
  }

  // ---- Frames ----

  void frame(Buffer bytes) {
    wire::RxFrame rx;
    rx.head = bytes;
    engine->on_frame(rx, now);
  }
  // The peer asks for the node's link address, and tells its own.
  void meet() {
    Buffer bytes(wire::kEthernetHeader + wire::kArpPacket);
    wire::emit_ethernet({wire::kBroadcastMac, kPeerMac, wire::kEtherTypeArp}, bytes);
    wire::emit_arp({wire::ArpOperation::kRequest, kPeerMac, kPeer, {}, kNode},
                   MutableBytes(bytes).subspan(wire::kEthernetHeader));
    frame(std::move(bytes));
    store();
    link.sent.clear();
  }
  void segment(const wire::TcpHeader& header, Bytes payload = {}, wire::Ipv4Address from = kPeer) {
    std::array<std::byte, wire::kEthernetHeader + wire::kIpv4MinHeader + wire::kTcpMaxHeader + 1500> bytes{};
    constexpr std::size_t kHeaders = wire::kEthernetHeader + wire::kIpv4MinHeader;
    std::size_t length = wire::emit_tcp(header, MutableBytes(bytes).subspan(kHeaders));
    std::copy(payload.begin(), payload.end(), bytes.begin() + static_cast<std::ptrdiff_t>(kHeaders + length));
    length += payload.size();
    wire::emit_ethernet({kNodeMac, kPeerMac, wire::kEtherTypeIpv4}, bytes);
    wire::emit_ipv4({.total_length = static_cast<std::uint16_t>(wire::kIpv4MinHeader + length),
                     .protocol = wire::kProtocolTcp,
                     .source = from,
                     .destination = kNode},
                    MutableBytes(bytes).subspan(wire::kEthernetHeader));
    wire::RxFrame rx;
    rx.head = MutableBytes(bytes).first(kHeaders + length);
    rx.checksum_trusted = true;
    engine->on_frame(rx, now);
  }

  // ---- What left ----

  // The first segment that left, if any.
  std::optional<Sent> take() {
    if (link.sent.empty()) return std::nullopt;
    Sent first = std::move(link.sent.front());
    link.sent.pop_front();
    return first;
  }
  Sent expect_one() {
    EXPECT_EQ(link.sent.size(), 1U);
    auto sent = take();
    link.sent.clear();
    return sent.value_or(Sent{});
  }
  bool silent() const { return link.sent.empty(); }
  std::size_t records(log::RecordType type) const { return log->count(type); }

  Config config;
  log::Secrets secrets;
  std::uint64_t ceiling = 1'700'000'000'000'000'000, streams = 0;  // as the log has them at the next start
  Link link;
  FakeLog* log = nullptr;
  std::unique_ptr<Engine> engine;
  Time now{std::chrono::seconds(1000)};
  unsigned drawn = 0;
};

}  // namespace holdfast::stack::testing
