// One side of a connection in the model: the machine that really runs (tcp::Ways), in a shell that does what the
// connection and the gate do around it (README.md, "What is mirrored").
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "model/message.h"
#include "tcp/connection.h"
#include "tcp/ways.h"

namespace holdfast::model {

inline constexpr std::uint8_t kMaxIncarnations = 4;
inline constexpr std::uint8_t kMaxWrites = 5;

// What never changes.
struct SideConfig {
  bool initiator = false;
  bool stores = true;
  tcp::WaysConfig ways;
  std::uint8_t retries = 1;       // of the handshake's segments
  bool cookies = false;           // responder: keeps nothing before step 3, as in a flood
  std::uint8_t incarnations = 2;  // how many connections it opens or accepts at most: the others are not answered
};

// What the log holds of the connection.
struct Record {
  bool live = false;  // false: nothing, or that it is closed
  tcp::State state = tcp::State::kClosed;
  tcp::WaysRecord ways;
  std::uint32_t iss = 0, irs = 0;
  std::uint8_t peer_offer = 0;
  std::uint8_t number = 0;
  std::uint8_t settled = 0;  // not in the log: what was settled, where the record need not say
  friend bool operator==(const Record&, const Record&) = default;
};

// On its way to the log.
struct Write {
  Record record;
  bool awaited = false;  // the connection waits for it
  bool reset = false;    // a RST waits for it
  friend bool operator==(const Write&, const Write&) = default;
};

struct Side {
  bool initiator = false;
  tcp::State state = tcp::State::kClosed;
  tcp::CloseReason reason = tcp::CloseReason::kNormal;  // of the latest end
  bool by_policy = false;  // it has ended a connection that could have gone on: too few copies, too few ways
  std::uint32_t iss = 0, irs = 0;
  std::uint8_t peer_offer = 0;
  std::uint8_t number = 0;  // of the connection, in this side's log: none has it twice
  bool record_stored = false, synced = false, ack_owed = false, data_held = false, resumed = false;
  std::uint8_t syn_tries = 0;
  std::uint8_t copies = 0;   // of the record that is stored
  std::uint8_t settled = 0;  // told to the user when ESTABLISHED
  std::optional<tcp::Ways> ways;

  Record disk;
  std::array<Write, kMaxWrites> writes{};  // in the order in which they become durable
  std::uint8_t writing = 0;

  std::uint8_t life = 0;          // of a volatile side, whose secrets die with it
  std::uint8_t incarnations = 0;  // opened or accepted so far
  // What was agreed to, for ever: the peer's ISN by incarnation of ours.
  std::array<std::uint32_t, kMaxIncarnations> agreed{};
  // The peer's ISNs of connections by cookie that are over: what the process remembers.
  std::array<std::uint32_t, kMaxIncarnations> used{};

  // What outlives a connection, and this process.
  Side without_connection() const;
  bool closed() const { return state == tcp::State::kClosed; }
  bool established() const { return state == tcp::State::kEstablished; }
  bool proving() const { return ways && ways->proving(); }
  friend bool operator==(const Side&, const Side&) = default;
};

std::size_t hash_of(const Side& side);

// ISNs of incarnation 0, 1, …; and of an earlier connection between the same ports.
std::uint32_t isn_of(bool initiator, std::uint8_t incarnation);
std::uint32_t old_isn_of(bool initiator);
// The responder's ISN in a cookie: a function of the SYN. The earlier connection was one by cookie, too.
std::uint32_t cookie_isn_of(std::uint32_t peer_isn, std::uint8_t life);
std::uint8_t offer_of(std::uint32_t isn);
// The secret, and the tuple as that side sees it.
tcp::NonceSource nonce_source(bool initiator, std::uint8_t life, std::uint32_t initiator_isn,
                              std::uint32_t responder_isn, std::uint8_t number);

}  // namespace holdfast::model
