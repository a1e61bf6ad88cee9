// When data counts as lost, and what the congestion window makes of it: fast retransmit and recovery by SACK (RFC
// 6675), or by duplicate ACKs where the peer has no SACK (RFC 5681 section 3.2, RFC 6582), and what follows a time-out
// (RFC 6298, RFC 5681 equation 4). Limited transmit (RFC 3042) is a consequence: duplicates lower pipe(), so new data
// may leave.
//
// Which run is lost is decided in this file only: RACK (RFC 8985) would replace mark_lost().
#pragma once

#include <cstdint>
#include <optional>

#include "base/units.h"
#include "tcp/congestion/congestion.h"
#include "tcp/scoreboard.h"

namespace holdfast::tcp {

class LossRecovery {
 public:
  explicit LossRecovery(bool sack) : sack_(sack) {}

  struct Ack {
    StreamOffset una;  // after this ACK
    StreamOffset nxt;
    std::uint64_t acked = 0;      // positions newly acknowledged cumulatively
    std::uint64_t sacked = 0;     // positions newly SACKed
    bool duplicate = false;       // a duplicate ACK by RFC 5681's definition
    bool head_is_sacked = false;  // the peer reneged
    bool cwnd_limited = false;    // the window was what held the sender
    std::uint32_t mss = 536;
    Duration rtt{};
    Time now{};
  };
  void on_ack(const Ack& ack, Scoreboard& board, Congestion& congestion);
  // The retransmission timer expired with data in flight.
  void on_timeout(StreamOffset una, StreamOffset nxt, Scoreboard& board, Congestion& congestion);

  // Positions in the network, as far as is known.
  std::uint64_t pipe(const Scoreboard& board, std::uint32_t mss) const;
  // The next range to be sent again.
  std::optional<Scoreboard::Range> next_retransmission(const Scoreboard& board) const;
  // RFC 6675 NextSeg() rule 4, when nothing else can be sent in recovery: the end of the window, once.
  std::optional<Scoreboard::Range> rescue(const Scoreboard& board) const;
  void on_retransmitted(bool was_rescue);
  // The first retransmission of a recovery leaves whatever the window says (RFC 6675 section 5 (4.3)).
  bool must_retransmit() const { return must_retransmit_; }
  bool in_recovery() const { return phase_ == Phase::kRecovery; }
  bool after_timeout() const { return phase_ == Phase::kTimeout; }

 private:
  enum class Phase : std::uint8_t { kOpen, kRecovery, kTimeout };
  void count_duplicates(const Ack& ack);
  bool mark_lost(const Ack& ack, Scoreboard& board);
  void enter_recovery(const Ack& ack, Congestion& congestion);

  Phase phase_ = Phase::kOpen;
  bool sack_;
  bool must_retransmit_ = false;
  bool rescued_ = false;
  std::uint32_t duplicates_ = 0;  // without SACK: segments that left the network above a loss
  StreamOffset recovery_point_;   // SND.NXT when loss was seen
  StreamOffset timed_out_;        // SND.UNA at the last time-out
};

}  // namespace holdfast::tcp
