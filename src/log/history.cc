#include "log/history.h"

#include "log/footer_reader.h"

namespace holdfast::log {
namespace {

class HistoryCheck {
 public:
  HistoryCheck(Chain& chain, const LogKey& key, const std::vector<Lsn>& progress, Tail& tail)
      : chain_(chain), key_(key), progress_(progress), tail_(tail) {}

  Result<std::uint32_t> run() {
    Lsn last{tail_.first_lsn.value - 1};
    auto segment = chain_.before(tail_.start.segment);
    while (true) {
      if (!segment) return std::unexpected(segment.error());
      if (!*segment) return unknown_;
      const std::uint32_t open = not_known_complete(last);
      if (open == 0) return unknown_;
      const EpochRun& run = *chain_.run_of(**segment);
      if (const std::uint32_t lacking = without_footer(**segment, run.epoch, last, open); lacking != 0) {
        walk(**segment, last, lacking);
      }
      const auto first = chain_.first_header(**segment, run.epoch);
      if (!first) return unknown_ | open;
      last = Lsn{first->lsn.value - 1};
      segment = chain_.before(**segment);
    }
  }

 private:
  std::uint32_t not_known_complete(Lsn last) const {
    std::uint32_t open = 0;
    for (std::size_t i = 0; i < progress_.size(); ++i) {
      if (progress_[i] < last) open |= 1U << i;
    }
    return open;
  }

  std::uint32_t without_footer(SegmentNumber segment, Epoch epoch, Lsn last, std::uint32_t open) const {
    std::uint32_t without = 0;
    for (std::size_t i = 0; i < progress_.size(); ++i) {
      if ((open >> i & 1U) == 0) continue;
      if (!find_trailer(*chain_.sources()[i], key_, segment, epoch, last)) without |= 1U << i;
    }
    return without;
  }

  void walk(SegmentNumber segment, Lsn last, std::uint32_t lacking) {
    ChainWalk walk(chain_, {segment, 0}, ChainWalk::Look::kAll);
    while (!walk.last() || walk.last()->lsn < last) {
      const auto step = walk.next();
      if (!step || !*step || (*step)->header.at.segment != segment) {
        unknown_ |= lacking;
        return;
      }
      note_missing(tail_, **step, lacking & ~(*step)->present);
    }
  }

  Chain& chain_;
  const LogKey& key_;
  const std::vector<Lsn>& progress_;
  Tail& tail_;
  std::uint32_t unknown_ = 0;
};

}  // namespace

Result<std::uint32_t> compare_history(Chain& chain, const LogKey& key, const std::vector<Lsn>& progress, Tail& tail) {
  return HistoryCheck(chain, key, progress, tail).run();
}

}  // namespace holdfast::log
