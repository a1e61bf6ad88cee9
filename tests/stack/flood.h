// A node whose places for half-open connections are taken, and a client at kPeer that the test speaks for.
#pragma once

#include "node.h"

namespace holdfast::stack::testing {

class Flood : public Node {
 protected:
  // A client at kPeer, with timestamps, SACK and window scale, whose segments the test asks for.
  struct Client {
    wire::Port port, service = kStore;
    wire::SeqNum iss{0x1000}, irs{};
    std::uint32_t ts = 500, ts_recent = 0;
    wire::WaysOption step{};  // the latest of its own; none where `ways` is 0
  };

  static wire::TcpHeader header(const Client& c, wire::TcpFlags flags, std::uint32_t at = 0) {
    wire::TcpHeader h;
    h.source = c.port;
    h.destination = c.service;
    h.flags = flags;
    h.seq = flags.syn ? c.iss : c.iss + 1 + at;
    if (flags.ack) h.ack = c.irs + 1;
    h.window = 1000;
    h.options.timestamps = wire::TcpTimestamps{c.ts, flags.syn ? 0 : c.ts_recent};
    if (c.step.ways != 0) h.options.ways = c.step;
    if (!flags.syn) return h;
    h.options.mss = 1400;
    h.options.window_scale = 7;
    h.options.sack_permitted = true;
    return h;
  }
  void syn(const Client& c) { segment(header(c, {.syn = true})); }
  void ack(const Client& c) { segment(header(c, {.ack = true})); }
  void data(const Client& c, const Buffer& payload, std::uint32_t at = 0) {
    segment(header(c, {.psh = true, .ack = true}, at), payload);
  }
  void reset(const Client& c) { segment(header(c, {.rst = true})); }

  void took(Client& c, const Sent& syn_ack) {
    EXPECT_TRUE(syn_ack.header.flags.syn && syn_ack.header.flags.ack);
    EXPECT_EQ(syn_ack.header.ack, c.iss + 1);
    c.irs = syn_ack.header.seq;
    if (syn_ack.header.options.timestamps) c.ts_recent = syn_ack.header.options.timestamps->value;
    if (c.step.ways != 0) answer(c, syn_ack);
  }
  // The client's next step is the one that follows what the node says.
  static void answer(Client& c, const Sent& sent) {
    const auto& option = sent.header.options.ways;
    ASSERT_TRUE(option);
    EXPECT_EQ(option->echo, c.step.nonce);
    c.step.ways = option->ways;
    c.step.step = static_cast<std::uint8_t>(option->step + 1);
    c.step.copies = 36;
    c.step.nonce += 0x01010101;
    c.step.echo = option->nonce;
  }
  // A SYN that gets a cookie, with nothing stored meanwhile.
  void by_cookie(Client& c) {
    const std::uint64_t before = engine->counters().syn_cookies_sent;
    syn(c);
    took(c, expect_one());
    EXPECT_EQ(engine->counters().syn_cookies_sent, before + 1);
  }
  // SYNs that nobody follows up, until there are no more places. Their ports are 1, 2, …
  void fill(wire::Port service = kStore) {
    for (std::uint32_t i = 1; i <= config.max_half_open; ++i) {
      syn({wire::Port{static_cast<std::uint16_t>(i)}, service});
    }
    store();
    EXPECT_GE(engine->connections(), config.max_half_open);
  }
  // Somebody asks for a port that is closed each second: the refusals wait for a write, and the clock runs.
  void pass_busy(Duration d) {
    for (const Time until = now + d; now < until;) {
      pass(std::min<Duration>(1s, until - now));
      Client nobody{wire::Port{39999}, wire::Port{9}};
      syn(nobody);
      store();
    }
    link.sent.clear();
  }
  void establish(Client& c) {
    syn(c);
    store();
    took(c, expect_one());
    ack(c);
    store();
    EXPECT_TRUE(silent());
  }
  // What the log has of the stream that was opened last.
  Buffer stored() const {
    Buffer all;
    for (const FakeLog::Appended& record : log->records) {
      if (record.header.type != log::RecordType::kIn || record.header.stream.value != log->ids) continue;
      all.insert(all.end(), record.payload.begin(), record.payload.end());
    }
    return all;
  }
  void flood(unsigned syns) {
    for (unsigned i = 0; i < syns; ++i) {
      x = x * 6364136223846793005ULL + 1442695040888963407ULL;
      wire::TcpHeader h;
      h.source = wire::Port{static_cast<std::uint16_t>(1024 + (x >> 50))};
      h.destination = kStore;
      h.seq = wire::SeqNum{static_cast<std::uint32_t>(x >> 20)};
      h.flags.syn = true;
      h.options.mss = 1460;
      if (i % 2 != 0) h.options.timestamps = wire::TcpTimestamps{i, 0};
      if (i % 3 == 0) {
        h.options.ways = wire::WaysOption{.ways = static_cast<std::uint8_t>(4 + i % 71), .step = 1, .nonce = i};
      }
      // Half of them where somebody is, so that the answer leaves; half anywhere on the link.
      segment(h, {}, i % 4 < 2 ? kPeer : wire::Ipv4Address{0x0a4d0100 + static_cast<std::uint32_t>(x >> 33) % 0xf000});
      if (i % 64 == 0) engine->pump(now);
    }
  }

  const Buffer bytes = Buffer(1000, std::byte{'x'});
  std::uint64_t x = 1;
};

}  // namespace holdfast::stack::testing
