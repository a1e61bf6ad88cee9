// Two connections of our own that open with N ways; the test carries the segments between them, one by one.
#pragma once

#include <gtest/gtest.h>

#include "solo.h"

namespace holdfast::tcp::test {

// The responder's tuple is kTuple. Each side's host stores when the test says so, or at once.
class WaysPair {
 public:
  WaysPair() {
    i.secret.key[0] = std::byte{1};
    r.secret.key[0] = std::byte{2};
    r.clock_base = 900000;
  }

  Endpoint i, r;  // initiator, responder
  wire::FourTuple mirrored{kTuple.peer, kTuple.local};
  SeqNum i_iss{0xfffffff0}, r_iss{77};
  Time now{std::chrono::seconds(100)};
  std::vector<Sent> wire;  // all that left, in order

  void ways(std::uint8_t proposed, std::uint8_t most = wire::kMaxWays) {
    i.config.ways = {.min = 3, .max = proposed, .strict = true};
    r.config.ways = {.min = 3, .max = most, .strict = true};
  }

  void pass(Duration time) {
    now += time;
    i.now = r.now = now;
    for (Endpoint* e : {&i, &r}) {
      if (live(*e) && e->connection->deadline() <= now) e->connection->on_deadline(now);
    }
  }
  static bool live(const Endpoint& e) { return e.connection && !e.close_reason; }

  void open() {
    pass(Duration{});
    i.connection = Connection::connect(i, i.config, StreamId{1}, mirrored, i_iss, 11, now);
    i.record = i.connection->snapshot();
    i.connection->on_record_stored(now);
  }
  void accept(const Sent& syn) {
    const SegmentIn in{syn.header, Bytes(syn.payload)};
    r.connection = Connection::accept(r, r.config, StreamId{2}, kTuple, in, r_iss, 22, now);
    r.record = r.connection->snapshot();
    r.connection->on_record_stored(now);
  }

  // Takes the next segment that `from` has sent off its hands; nothing where there is none.
  std::optional<Sent> take(Endpoint& from) {
    if (from.out.empty()) return std::nullopt;
    wire.push_back(from.next());
    return wire.back();
  }
  void give(Endpoint& to, const Sent& sent) {
    if (&to == &r && !r.connection) return accept(sent);
    const SegmentIn in{sent.header, Bytes(sent.payload)};
    if (live(to)) to.connection->on_segment(in, now);
  }
  // Carries everything until both are silent.
  void carry() {
    for (bool moved = true; moved;) {
      moved = false;
      while (const auto sent = take(i)) give(r, *sent), moved = true;
      while (const auto sent = take(r)) give(i, *sent), moved = true;
    }
  }
  // Carries and waits until both are established or over.
  void settle(Duration limit) {
    const Time until = now + limit;
    for (carry(); now < until && !settled(); carry()) pass(std::max(next_deadline() - now, Duration(1)));
  }
  bool settled() const { return is_over(i) && is_over(r); }
  Time next_deadline() const {
    Time at = kNever;
    for (const Endpoint* e : {&i, &r}) at = live(*e) ? std::min(at, e->connection->deadline()) : at;
    return at == kNever ? now + std::chrono::seconds(1) : at;
  }
  static bool is_over(const Endpoint& e) {
    return e.close_reason || (e.connection && e.connection->state() == State::kEstablished);
  }
  bool both_established() const {
    return live(i) && live(r) && i.connection->state() == State::kEstablished &&
           r.connection->state() == State::kEstablished;
  }

  // A side dies, and comes back with what it had stored: its last record.
  void restart(Endpoint& e) {
    const Snapshot stored = *e.record;
    e.out.clear();
    e.held.clear();
    e.connection = Connection::resume(e, e.config, stored.active_open ? StreamId{1} : StreamId{2}, stored, now);
    e.connection->on_outbound_stored(stored.snd_end, stored.snd_fin, now);
    e.connection->speak(now);
  }
};

}  // namespace holdfast::tcp::test
