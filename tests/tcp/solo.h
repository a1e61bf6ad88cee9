// One connection, and a peer whose segments the test writes by hand. Positions count from the first data byte of a
// direction; the SYN is at -1.
#pragma once

#include <gtest/gtest.h>

#include "endpoint.h"

namespace holdfast::tcp::test {

using namespace std::chrono_literals;

inline constexpr wire::TcpFlags kAck{.ack = true};
inline constexpr wire::TcpFlags kPshAck{.psh = true, .ack = true};
inline constexpr wire::TcpFlags kFinAck{.fin = true, .ack = true};
inline constexpr wire::TcpFlags kSyn{.syn = true};
inline constexpr wire::TcpFlags kSynAckFlags{.syn = true, .ack = true};
inline constexpr wire::TcpFlags kRst{.rst = true};
inline constexpr wire::TcpFlags kRstAck{.rst = true, .ack = true};

inline const wire::FourTuple kTuple{{{0x0a4d0002}, wire::Port{7}}, {{0x0a4d0001}, wire::Port{40000}}};

class Solo : public ::testing::Test {
 protected:
  Endpoint e;
  SeqNum our_iss{5000}, peer_iss{9000};
  bool peer_timestamps = false, peer_sack = false;
  std::optional<std::uint8_t> peer_scale;
  std::uint16_t peer_mss = 1460;
  std::uint16_t peer_window = 60000;
  std::uint32_t peer_ts = 70000;
  std::uint32_t ts_offset = 100;

  Connection& c() { return *e.connection; }
  Time& now() { return e.now; }

  SegmentIn segment(wire::TcpFlags flags, std::int64_t at, std::int64_t ack, Bytes payload = {}) {
    SegmentIn s;
    s.header.source = kTuple.peer.port;
    s.header.destination = kTuple.local.port;
    s.header.flags = flags;
    s.header.seq = peer_iss + 1 + static_cast<std::uint32_t>(at);
    s.header.ack = our_iss + 1 + static_cast<std::uint32_t>(ack);
    s.header.window = peer_window;
    if (peer_timestamps) s.header.options.timestamps = wire::TcpTimestamps{peer_ts, last_tsval};
    s.payload = payload;
    return s;
  }
  void arrive(const SegmentIn& s) { c().on_segment(s, now()); }
  void arrive(wire::TcpFlags flags, std::int64_t at, std::int64_t ack, Bytes payload = {}) {
    arrive(segment(flags, at, ack, payload));
  }

  SegmentIn syn(wire::TcpFlags flags = kSyn) {
    SegmentIn s = segment(flags, -1, flags.ack ? 0 : -1);
    if (!flags.ack) s.header.ack = SeqNum{};
    s.header.options.mss = peer_mss;
    s.header.options.window_scale = peer_scale;
    s.header.options.sack_permitted = peer_sack;
    return s;
  }
  void accept() {
    e.connection = Connection::accept(e, e.config, StreamId{1}, kTuple, syn(), our_iss, ts_offset, now());
  }
  void connect() { e.connection = Connection::connect(e, e.config, StreamId{1}, kTuple, our_iss, ts_offset, now()); }
  // Passive open to ESTABLISHED; nothing is left in `out`.
  void establish() {
    accept();
    c().on_record_stored(now());
    take();
    arrive(kAck, 0, 0);
    ASSERT_EQ(c().state(), State::kEstablished);
    e.out.clear();
    e.transitions.clear();
  }
  void establish_modern() {
    peer_timestamps = peer_sack = true;
    peer_scale = 7;
    establish();
  }

  Sent take() {
    if (e.out.empty()) {
      ADD_FAILURE() << "nothing was sent";
      return {};
    }
    Sent s = e.next();
    if (s.header.options.timestamps) last_tsval = s.header.options.timestamps->value;
    return s;
  }
  bool silent() const { return e.out.empty(); }
  std::int64_t ack_of(const Sent& s) const { return SeqNum::distance(s.header.ack, peer_iss + 1); }
  std::int64_t seq_of(const Sent& s) const { return SeqNum::distance(s.header.seq, our_iss + 1); }
  std::int64_t left_of(const wire::SackBlock& b) const { return SeqNum::distance(b.left, peer_iss + 1); }
  std::int64_t right_of(const wire::SackBlock& b) const { return SeqNum::distance(b.right, peer_iss + 1); }
  SeqNum our_seq(std::int64_t at) const { return our_iss + 1 + static_cast<std::uint32_t>(at); }

  void pass(Duration d) {
    const Time until = now() + d;
    while (e.connection && c().deadline() <= until && !e.close_reason) {
      now() = std::max(now(), c().deadline());
      c().on_deadline(now());
    }
    now() = until;
  }
  // To the next deadline, whatever it is.
  void expire() {
    ASSERT_NE(c().deadline(), kNever);
    now() = std::max(now(), c().deadline());
    c().on_deadline(now());
  }
  std::uint32_t last_tsval = 0;
};

}  // namespace holdfast::tcp::test
