#include "tcp/loss.h"

#include <algorithm>

namespace holdfast::tcp {
namespace {
constexpr std::uint32_t kDupThresh = 3;

// RFC 5681's FlightSize. While a hole stays open new data goes on leaving, and what lies between SND.UNA and SND.NXT
// says nothing of the path any more: never more than the window that was in force.
std::uint64_t flight(StreamOffset una, StreamOffset nxt, const Congestion& congestion) {
  return std::min<std::uint64_t>(nxt - una, congestion.cwnd());
}
}  // namespace

void LossRecovery::on_ack(const Ack& ack, Scoreboard& board, Congestion& congestion) {
  if (phase_ != Phase::kOpen && ack.una >= recovery_point_) {
    phase_ = Phase::kOpen;
    must_retransmit_ = false;
    duplicates_ = 0;
  }
  if (ack.head_is_sacked) {  // reneged: nothing of what was SACKed can be counted on
    board.forget_sacks();
    board.mark_all_lost();
  }
  const bool partial = phase_ == Phase::kRecovery && ack.acked > 0;
  count_duplicates(ack);
  const bool news = mark_lost(ack, board);
  if (partial && !sack_) board.mark_head_lost(ack.mss);  // RFC 6582: the next hole
  if (news && phase_ == Phase::kOpen) enter_recovery(ack, congestion);
  if (ack.acked == 0 || phase_ == Phase::kRecovery) return;
  if (ack.cwnd_limited || phase_ == Phase::kTimeout) {
    congestion.on_ack(ack.acked, ack.rtt, ack.now);
  } else {
    congestion.on_limited_ack();
  }
}

void LossRecovery::count_duplicates(const Ack& ack) {
  if (sack_) return;
  if (ack.acked > 0) {
    // Each segment acknowledged beyond the hole was one of those counted.
    const auto segments = static_cast<std::uint32_t>(std::min<std::uint64_t>(ack.acked / ack.mss, ~std::uint32_t{0}));
    duplicates_ = phase_ == Phase::kOpen ? 0 : duplicates_ - std::min(duplicates_, segments);
  } else if (ack.duplicate && duplicates_ < (1U << 20)) {
    ++duplicates_;
  }
}

bool LossRecovery::mark_lost(const Ack& ack, Scoreboard& board) {
  if (sack_) return ack.sacked > 0 && board.mark_lost_by_sack(ack.mss);
  // RFC 6582 section 3.2 step 2: not for duplicates of what a time-out has sent again.
  return duplicates_ >= kDupThresh && phase_ == Phase::kOpen && ack.una >= recovery_point_ &&
         board.mark_head_lost(ack.mss);
}

void LossRecovery::enter_recovery(const Ack& ack, Congestion& congestion) {
  phase_ = Phase::kRecovery;
  recovery_point_ = ack.nxt;
  must_retransmit_ = true;
  rescued_ = false;
  congestion.on_loss(flight(ack.una, ack.nxt, congestion));
}

void LossRecovery::on_timeout(StreamOffset una, StreamOffset nxt, Scoreboard& board, Congestion& congestion) {
  const bool first = phase_ != Phase::kTimeout || una > timed_out_;
  congestion.on_timeout(flight(una, nxt, congestion), first);
  timed_out_ = una;
  phase_ = Phase::kTimeout;
  recovery_point_ = nxt;
  must_retransmit_ = true;
  duplicates_ = 0;
  board.forget_sacks();  // RFC 2018 section 8: the receiver may have reneged
  board.mark_all_lost();
}

std::uint64_t LossRecovery::pipe(const Scoreboard& board, std::uint32_t mss) const {
  const std::uint64_t gone = sack_ ? 0 : std::uint64_t{duplicates_} * mss;
  return board.pipe() - std::min(board.pipe(), gone);
}

std::optional<Scoreboard::Range> LossRecovery::next_retransmission(const Scoreboard& board) const {
  return board.next_lost();
}

std::optional<Scoreboard::Range> LossRecovery::rescue(const Scoreboard& board) const {
  if (phase_ != Phase::kRecovery || !sack_ || rescued_) return std::nullopt;
  const auto last = board.last_unsacked();
  if (!last || last->end <= board.highest_sacked()) return std::nullopt;
  return last;
}

void LossRecovery::on_retransmitted(bool was_rescue) {
  must_retransmit_ = false;
  if (was_rescue) rescued_ = true;
}

}  // namespace holdfast::tcp
