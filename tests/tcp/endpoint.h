// A host for one connection, in memory: storage that answers at once, when the test says so, or after a while.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/assert.h"
#include "tcp/connection.h"
#include "tcp/sequence.h"

namespace holdfast::tcp::test {

using wire::SeqNum;
using ByteVector = std::vector<std::byte>;

struct Sent {
  wire::TcpHeader header;
  ByteVector payload;
  std::uint16_t gso_size = 0;
  Time at{};
  SeqNum end() const {
    return header.seq + static_cast<std::uint32_t>(payload.size()) + (header.flags.syn ? 1 : 0) +
           (header.flags.fin ? 1 : 0);
  }
  // A bare ACK.
  bool bare() const {
    const auto& f = header.flags;
    return payload.empty() && f.ack && !f.syn && !f.fin && !f.rst;
  }
};

class Endpoint : public Host {
 public:
  // ---- Host ----
  bool deliver(Connection&, StreamOffset at, Bytes payload, bool fin) override {
    if (refuse_delivery) return false;
    HF_ASSERT(at.value == received.size() && !received_fin);
    received.insert(received.end(), payload.begin(), payload.end());
    received_fin = fin;
    ++deliveries;
    if (echo && !payload.empty()) queue(payload);
    if (store_at_once) stored = received.size(), stored_fin = fin;
    return true;
  }
  void hold(Connection& c, const AckNote& note) override {
    ++notes;
    held.push_back(note);
    most_held = std::max(most_held, held.size());
    if (store_at_once) release_stored(c);
  }
  void transmit(Connection& c, const SegmentOut& segment) override {
    HF_ASSERT(c.released().value <= stored);  // rule 1
    const auto end = c.received();
    HF_ASSERT(c.released() <= end);
    leave(segment);
  }
  void transmit_reset(Connection&, std::span<const SegmentOut> segments, CloseReason) override {
    for (const SegmentOut& segment : segments) leave(segment);
  }
  ReceiveAllowance receive_allowance(const Connection&) override {
    edge = std::max(edge, StreamOffset{(unread_counts ? consumed : received.size()) + window});
    return {edge, stalled};
  }
  void acknowledged(Connection& c, StreamOffset una, bool fin) override {
    acked = una;
    acked_fin = fin;
    top_up(c);
  }
  void state_changed(Connection& changed, State from, State to) override {
    transitions.emplace_back(from, to);
    // The record that holds the peer's initial sequence number.
    if (from == State::kSynSent && to != State::kClosed) record = changed.snapshot();
    if (from == State::kSynSent && to != State::kClosed && stores_records) changed.on_record_stored(now);
  }
  bool stores_records = true;
  const Secret& nonce_secret() const override { return secret; }
  bool stores() const override { return is_durable; }
  std::uint8_t copies(const Connection&) const override { return copies_held; }
  std::uint8_t most_copies() const override { return places; }
  void store_record(Connection& changed) override {
    ++records;
    record = changed.snapshot();
    if (stores_records) changed.on_record_stored(now);
  }
  void await_copies(Connection&) override { ++roll_calls; }
  Secret secret;
  bool is_durable = true;
  std::uint8_t copies_held = 40, places = 40;
  std::size_t records = 0, roll_calls = 0;
  std::optional<Snapshot> record;  // the newest
  void finished(Connection&, CloseReason reason) override {
    HF_ASSERT(!close_reason);
    close_reason = reason;
  }
  std::uint32_t timestamp_clock() override {
    return clock_base + static_cast<std::uint32_t>(
                            std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  }

  std::optional<std::uint32_t> clock_stood_at() override { return stood_at; }

  // ---- For tests ----
  std::optional<std::uint32_t> stood_at;
  void leave(const SegmentOut& s) {
    Sent sent{s.header, {}, s.gso_size, now};
    for (const Bytes piece : s.payload) sent.payload.insert(sent.payload.end(), piece.begin(), piece.end());
    out.push_back(std::move(sent));
  }
  // Brings back the notes that storage covers.
  void release_stored(Connection& c) {
    while (!held.empty() && held.front().in_end.value <= stored && (!held.front().covers_fin || stored_fin)) {
      const AckNote note = held.front();
      held.pop_front();
      c.release(note, now);
    }
  }
  void store_all() {
    stored = received.size();
    stored_fin = received_fin;
    release_stored(*connection);
  }
  // The service writes, and it is stored at once (unless store_outbound is off).
  void write(Bytes bytes) { queue(bytes); }
  void queue(Bytes bytes) {
    connection->queue(bytes);
    if (store_outbound) connection->on_outbound_stored(connection->queued(), false, now);
  }
  void finish_writing() {
    connection->queue_fin();
    if (store_outbound) connection->on_outbound_stored(connection->queued(), true, now);
  }
  // A stream to be written as room allows.
  void top_up(Connection& c) {
    if (to_write.empty() && !write_fin) return;
    const std::size_t left = to_write.size() - written;
    const std::size_t n = std::min(left, c.send_room());
    if (n > 0) {
      written += n;
      queue(Bytes(to_write).subspan(written - n, n));
    }
    if (written == to_write.size() && write_fin) {
      write_fin = false;
      finish_writing();
    }
  }
  State state() const { return connection->state(); }
  Sent next() {
    HF_ASSERT(!out.empty());
    Sent s = std::move(out.front());
    out.pop_front();
    return s;
  }

  std::unique_ptr<Connection> connection;
  Config config;
  Time now{};
  std::uint32_t clock_base = 1000;

  ByteVector received;
  bool received_fin = false;
  std::size_t stored = 0;
  bool stored_fin = false;
  std::deque<AckNote> held;
  std::size_t most_held = 0;
  std::size_t notes = 0, deliveries = 0;
  std::deque<Sent> out;
  StreamOffset acked;
  bool acked_fin = false;
  std::vector<std::pair<State, State>> transitions;
  std::optional<CloseReason> close_reason;

  bool store_at_once = true;   // inbound
  bool store_outbound = true;  // queue() is followed by "stored"
  bool refuse_delivery = false;
  bool echo = false;
  bool stalled = false;
  std::uint64_t window = 1 << 20;
  StreamOffset edge;
  bool unread_counts = false;  // the window shrinks by what the service has not consumed
  std::size_t consumed = 0;

  ByteVector to_write;
  std::size_t written = 0;
  bool write_fin = false;
};

inline ByteVector pattern(std::size_t n, std::uint32_t seed = 1) {
  ByteVector bytes(n);
  std::uint32_t x = seed * 2654435761U + 1;
  for (std::byte& b : bytes) {
    x = x * 1664525U + 1013904223U;
    b = static_cast<std::byte>(x >> 24);
  }
  return bytes;
}

}  // namespace holdfast::tcp::test
