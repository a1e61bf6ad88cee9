#include "log/history.h"

#include "log/footer_reader.h"

namespace holdfast::log {
namespace {

class HistoryCheck {
 public:
  HistoryCheck(Chain& chain, const LogKey& key, const std::vector<Lsn>& progress, Tail& tail)
      : chain_(chain), key_(key), progress_(progress), tail_(tail) {}

  Result<ReplicaSet> run() {
    Lsn last{tail_.first_lsn.value - 1};
    auto segment = chain_.before(tail_.start.segment);
    while (true) {
      if (!segment) return std::unexpected(segment.error());
      if (!*segment) return unknown_;
      const ReplicaSet open = not_known_complete(last);
      if (open == 0) return unknown_;
      const EpochRun& run = *chain_.run_of(**segment);
      const auto first = chain_.first_header(**segment, run.epoch);
      ReplicaSet lacking = without_footer(**segment, run.epoch, last, open);
      if (lacking != 0 && first) lacking = note_whole_segment(*first, last, lacking);
      if (lacking != 0) walk(**segment, last, lacking);
      if (!first) return unknown_ | open;
      last = Lsn{first->lsn.value - 1};
      segment = chain_.before(**segment);
    }
  }

 private:
  ReplicaSet not_known_complete(Lsn last) const {
    ReplicaSet open = 0;
    for (std::size_t i = 0; i < progress_.size(); ++i) {
      if (progress_[i] < last) open |= replica_bit(i);
    }
    return open;
  }

  ReplicaSet without_footer(SegmentNumber segment, Epoch epoch, Lsn last, ReplicaSet open) const {
    ReplicaSet without = 0;
    for (std::size_t i = 0; i < progress_.size(); ++i) {
      if ((open >> i & 1U) == 0) continue;
      if (!find_trailer(*chain_.sources()[i], key_, segment, epoch, last)) without |= replica_bit(i);
    }
    return without;
  }

  // Those of `lacking` that have not even its first batch lack all of a segment; somebody's footer says how much that
  // is without a look at the payload: a start beside a location that was away for long must not read the whole log.
  // Returns who may lack a part.
  ReplicaSet note_whole_segment(const BatchHeader& first, Lsn last, ReplicaSet lacking) {
    ReplicaSet all = 0;
    std::optional<SegmentIndex::Trailer> trailer;
    for (std::size_t i = 0; i < chain_.sources().size(); ++i) {
      Source& source = *chain_.sources()[i];
      const auto& own = source.first_header(first.at.segment);
      const bool begun = own && own->epoch == first.epoch;
      if (!begun) all |= replica_bit(i);
      if (begun && !trailer) trailer = find_trailer(source, key_, first.at.segment, first.epoch, last);
    }
    if (!trailer) return lacking;
    const ReplicaSet whole = lacking & all;
    if (whole != 0) note_missing(tail_, {first.at, trailer->data_end, ~all, whole}, first.lsn);
    return lacking & ~all;
  }

  void walk(SegmentNumber segment, Lsn last, ReplicaSet lacking) {
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
  ReplicaSet unknown_ = 0;
};

}  // namespace

Result<ReplicaSet> compare_history(Chain& chain, const LogKey& key, const std::vector<Lsn>& progress, Tail& tail) {
  return HistoryCheck(chain, key, progress, tail).run();
}

}  // namespace holdfast::log
