// One handshake between two hosts, from connect() to the end of what it can become: every segment on the wire, every
// change of state, and what follows from them. Equal conditions and seeds give equal outcomes.
//
// Nobody sends data: what repairs a loss is the handshake itself. Address resolution is done before, and loses nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "lab/conditions.h"
#include "tcp/connection.h"
#include "wire/tcp.h"

namespace holdfast::lab {

// How far a side has come, in order.
enum class Stage : std::uint8_t { kNone, kSynSent, kSynReceived, kConfirming, kEstablished, kClosed };
// "SYN-SENT", "CONFIRMING", …; "" for kNone.
std::string_view to_string(Stage stage);

// One segment on its way. Times count from connect().
struct Passage {
  Side from = Side::kInitiator;
  Duration sent{};
  std::optional<Duration> arrived;  // none: lost, or still on its way when the lab looked away
  bool lost = false;
  bool repeated = false;  // the same step had left before
  unsigned bytes = 0;     // of the IP packet
  wire::TcpHeader header;
  unsigned step = 0;  // of the handshake, as the option or the flags tell; 0: something else, such as a RST
};

struct Change {
  Side side = Side::kInitiator;
  Duration when{};
  Stage stage = Stage::kNone;
};

// What a side had certified when the handshake was over, as the other heard it; all zeros for three ways.
struct Certificate {
  std::uint8_t step = 0;     // its latest step that arrived
  std::uint8_t copies = 0;   // in that step
  std::uint8_t asked = 0;    // by that step; 0 for a side that stores nothing
  unsigned short_steps = 0;  // how many of its steps said SHORT
};

struct SideOutcome {
  std::optional<Duration> established;
  std::optional<tcp::CloseReason> closed;  // the initiator only: the responder has nobody who asks
  Certificate certificate;
  // When both sides are established. 0: no sample.
  Duration smoothed_rtt{}, retransmission_timeout{};
};

struct Outcome {
  std::array<SideOutcome, 2> sides;
  std::vector<Passage> passages;
  std::vector<Change> changes;
  Duration end{};                   // when the lab looked away: nothing more could come of it, or an hour had passed
  Duration half_open{};             // for how long exactly one side was ESTABLISHED
  bool one_sided = false;           // one side was ESTABLISHED, and the other never
  bool lasting = false;             // … and still is
  unsigned segments = 0;            // that left until both were established
  unsigned bytes = 0;               // of their IP packets
  unsigned lost = 0, repeated = 0;  // of these segments

  const SideOutcome& of(Side side) const { return sides[static_cast<std::size_t>(side)]; }
  SideOutcome& of(Side side) { return sides[static_cast<std::size_t>(side)]; }
  bool established() const { return sides[0].established && sides[1].established; }
  // Until both are.
  Duration time() const { return std::max(*sides[0].established, *sides[1].established); }
};

// Why there is no connection, as far as the initiator was told: "too few copies", "timed out", …
std::string_view failure_of(const Outcome& outcome);

// An error is one of the conditions: more directories than a log can have, say.
Result<Outcome> shake_hands(const Conditions& conditions, std::uint64_t seed);

}  // namespace holdfast::lab
