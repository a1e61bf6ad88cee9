#include "log/repair_log.h"

#include <fmt/core.h>

#include <algorithm>

#include "log/footer_reader.h"
#include "log/log_view.h"
#include "log/repair.h"
#include "log/replica_set.h"

namespace holdfast::log {
namespace {

class WholeRepair {
 public:
  explicit WholeRepair(LogView& view) : view_(view), failed_(view.chain().sources().size(), false) {}

  void segment(const ChainSegment& segment) {
    const std::size_t locations = view_.chain().sources().size();
    const Lsn last = std::min(segment.last == Lsn{} ? view_.durable_end() : segment.last, view_.durable_end());
    Tail found;
    found.missing_bytes.resize(locations);
    found.first_missing.resize(locations);
    const ReplicaSet all = first_replicas(locations);
    SegmentIndex index;
    index.reset(segment.number, segment.epoch);
    ChainWalk walk(view_.chain(), {segment.number, 0}, ChainWalk::Look::kAll);
    while (!walk.last() || walk.last()->lsn < last) {
      const auto step = walk.next();
      if (!step || !*step || (*step)->header.at.segment != segment.number) {
        report_.remaining.push_back({"all locations", segment.number, walk.position().offset,
                                     walk.expected().value_or(segment.first), "no location has a good copy", false});
        break;
      }
      index.add_stored_batch((*step)->header, (*step)->bytes);
      note_missing(found, **step, all & ~(*step)->present);
    }
    const bool closed = segment.last != Lsn{} && !segment.cut && walk.last() && walk.last()->lsn == segment.last;
    if (closed) found.segments.push_back({index, without_footer(index)});
    write(found);
  }

  RepairReport take() { return std::move(report_); }

 private:
  ReplicaSet without_footer(const SegmentIndex& index) const {
    ReplicaSet without = 0;
    for (std::size_t i = 0; i < failed_.size(); ++i) {
      Source& source = *view_.chain().sources()[i];
      if (!read_footer(source, view_.key(), index.segment(), index.epoch(), index.last_lsn()))
        without |= replica_bit(i);
    }
    return without;
  }

  void write(const Tail& found) {
    Repair repair(view_.chain(), view_.key(), found);
    for (std::size_t i = 0; i < failed_.size(); ++i) {
      if (failed_[i]) continue;
      auto done = repair.copy(i);
      if (done) done = repair.write_footers(i);
      if (done) {
        report_.copied += found.missing_bytes[i];
        continue;
      }
      failed_[i] = true;
      report_.remaining.push_back(
          {view_.chain().sources()[i]->name(), SegmentNumber{}, 0, Lsn{}, done.error().message, false});
    }
  }

  LogView& view_;
  std::vector<bool> failed_;
  RepairReport report_;
};

}  // namespace

Result<RepairReport> repair_log(const std::vector<location::Location*>& locations, Duration lock_bound,
                                const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  for (location::Location* location : locations) {
    if (auto locked = location->lock(lock_bound); !locked) return std::unexpected(locked.error());
  }
  auto view = LogView::open(locations);
  if (!view) return std::unexpected(view.error());
  if ((*view)->segments().empty()) return RepairReport{};
  WholeRepair repair(**view);
  const std::uint64_t all = (*view)->segments().size() * (*view)->key().segment_size;
  std::uint64_t done = 0;
  for (const ChainSegment& segment : (*view)->segments()) {
    if (segment.first > (*view)->durable_end()) break;
    repair.segment(segment);
    done += (*view)->key().segment_size;
    if (progress) progress(done, all);
  }
  return repair.take();
}

}  // namespace holdfast::log
