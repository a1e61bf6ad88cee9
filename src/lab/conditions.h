// What one handshake of the lab is made under: plain data.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/units.h"
#include "log/format.h"
#include "tcp/ways.h"
#include "wire/tcp.h"

namespace holdfast::lab {

// What a side does about a peer that certifies too few copies.
enum class Policy : std::uint8_t {
  kUsual,       // as `holdfast` does where nothing else is said: the initiator is strict, the responder is not
  kStrict,      // both
  kBestEffort,  // both
};

enum class Side : std::uint8_t { kInitiator = 0, kResponder = 1 };
constexpr Side other(Side side) { return side == Side::kInitiator ? Side::kResponder : Side::kInitiator; }

struct Conditions {
  std::uint8_t ways = 3;     // 3..74
  std::uint32_t loss = 0;    // of each segment, in parts of a million
  Duration delay{};          // one way
  Duration jitter{};         // added to each segment's delay, uniform in [0, jitter]; order is kept
  Duration storage{};        // a write takes this long at least, and up to a quarter more
  unsigned directories = 0;  // of each side; 0: as many as `ways` steps ask for, 1 at least
  unsigned stored_on = 1;    // W: "stored" is on so many of them
  bool initiator_stores = true, responder_stores = true;
  Policy policy = Policy::kUsual;
  Duration roll_call_timeout = std::chrono::seconds(1);

  // The largest number of copies that a step of this side asks for.
  std::uint8_t most_asked(Side side) const {
    const bool last_is_ours = (ways % 2 == 1) == (side == Side::kInitiator);
    return tcp::copies_asked(last_is_ours ? ways : static_cast<std::uint8_t>(ways - 1));
  }
  bool stores(Side side) const { return side == Side::kInitiator ? initiator_stores : responder_stores; }
  // How many directories each side has.
  unsigned places() const {
    if (directories != 0) return directories;
    const unsigned asked = std::max(most_asked(Side::kInitiator), most_asked(Side::kResponder));
    return std::min<unsigned>(std::max({asked, stored_on, 1U}), log::kMaxReplicas);
  }
  // What the network alone takes for a question and its answer, on average.
  Duration round_trip() const { return 2 * delay + jitter; }
  bool strict(Side side) const {
    return policy == Policy::kUsual ? side == Side::kInitiator : policy == Policy::kStrict;
  }
};

}  // namespace holdfast::lab
