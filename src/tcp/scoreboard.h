// What is in flight: runs of sent positions, with what RFC 6675 wants to know of each. Runs are as long as they were
// sent (a super-segment is one run) and are split where an acknowledgment, a SACK block or a retransmission ends
// inside.
//
// Bounds: SACK splits runs at multiples of the segment size only, and ranges that are SACKed merge, so a peer that
// SACKs every other byte gains nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/units.h"

namespace holdfast::tcp {

class Scoreboard {
 public:
  struct Run {
    StreamOffset begin, end;  // positions: the FIN counts
    Time sent;                // last time
    bool sacked = false;
    bool lost = false;
    bool retransmitted = false;  // since it was marked lost: in flight again
    bool ever_retransmitted = false;
    std::uint64_t length() const { return end - begin; }
  };
  struct Range {
    StreamOffset begin, end;
  };
  struct Acked {
    std::optional<Time> sent;  // of the last run acknowledged, where all were sent once only (Karn)
    bool head_is_sacked = false;
  };

  struct Sacked {
    std::uint64_t news = 0;    // positions that were in flight and not known to have arrived
    std::optional<Time> sent;  // when the latest of them was sent, of those sent once (Karn)
  };

  bool empty() const { return head_ == runs_.size(); }
  // New data [begin, end); `begin` is where the last run ended. `again`: these positions may have been sent before.
  void add(StreamOffset begin, StreamOffset end, Time now, bool again);
  // Everything below `una` is acknowledged.
  Acked acknowledge(StreamOffset una);
  // A SACK block. Splits at multiples of `mss` from a run's begin.
  // a run's begin.
  Sacked sack(StreamOffset begin, StreamOffset end, std::uint32_t mss);

  // RFC 6675 IsLost() for every run: marks the un-SACKed ones below three SACKed ranges or below more than two
  // segments' worth of SACKed bytes. True if any was marked.
  bool mark_lost_by_sack(std::uint32_t mss);
  // Marks the first `length` positions, unless SACKed. True if that was news.
  bool mark_head_lost(std::uint64_t length);
  // Marks all that is not SACKed; what was retransmitted counts as lost again. Neighbours become one run.
  void mark_all_lost();
  // The peer may have dropped what it SACKed (RFC 2018 section 8).
  void forget_sacks();

  // First run that is lost and not yet retransmitted.
  std::optional<Range> next_lost() const;
  // Last un-SACKed run, for RFC 6675's rescue retransmission.
  std::optional<Range> last_unsacked() const;
  // [begin, end), inside one run, was sent again.
  void retransmitted(StreamOffset begin, StreamOffset end, Time now);

  void clear();
  // Positions believed to be in the network (RFC 6675 pipe).
  std::uint64_t pipe() const { return total_ - sacked_ - lost_ + retransmitted_; }
  std::uint64_t sacked() const { return sacked_; }
  StreamOffset highest_sacked() const { return highest_sacked_; }
  std::size_t runs() const { return runs_.size() - head_; }

 private:
  using Iterator = std::vector<Run>::iterator;
  Iterator first() { return runs_.begin() + static_cast<std::ptrdiff_t>(head_); }
  Iterator find(StreamOffset at);                 // the run that holds `at`, or the end
  Iterator split(Iterator run, StreamOffset at);  // returns the second part
  void count(const Run& run, int sign);
  void mark_lost(Run& run);
  Iterator sack_run(Iterator run, StreamOffset begin, StreamOffset end, std::uint32_t mss, Sacked& result);
  Iterator merge_sacked(Iterator run);
  void merge_lost();
  void compact();

  std::vector<Run> runs_;  // from head_ on; contiguous
  std::size_t head_ = 0;
  std::uint64_t total_ = 0, sacked_ = 0, lost_ = 0, retransmitted_ = 0;
  StreamOffset highest_sacked_;
  StreamOffset lost_below_;  // every un-SACKed run below is marked already
};

}  // namespace holdfast::tcp
