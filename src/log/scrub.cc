#include "log/scrub.h"

#include <fmt/core.h>

#include <algorithm>

namespace holdfast::log {
namespace {

class Scrub {
 public:
  explicit Scrub(LogView& view) : view_(view) {}

  // One segment, up to the durable end.
  void segment(const ChainSegment& segment) {
    ChainWalk walk(view_.chain(), {segment.number, 0}, ChainWalk::Look::kAll);
    const Lsn last = std::min(segment.last == Lsn{} ? view_.durable_end() : segment.last, view_.durable_end());
    while (!walk.last() || walk.last()->lsn < last) {
      const auto step = walk.next();
      if (!step || !*step || (*step)->header.at.segment != segment.number) {
        findings_.push_back({"all locations", segment.number, walk.position().offset,
                             walk.expected().value_or(segment.first), "no location has a good copy", false});
        return;
      }
      note((*step)->header, (*step)->present);
    }
  }
  // A copy that was still on its way when it was looked at is none.
  std::vector<Finding> take() {
    std::erase_if(findings_, [this](const Finding& finding) {
      if (!finding.repairable) return false;
      for (Source* source : view_.chain().sources()) {
        if (source->name() != finding.location) continue;
        source->drop_window();
        const auto batch = source->batch_at({finding.segment, static_cast<std::uint32_t>(finding.offset)});
        return batch && batch->header.lsn == finding.lsn;
      }
      return false;
    });
    return std::move(findings_);
  }

 private:
  void note(const BatchHeader& header, ReplicaSet present) {
    const auto& sources = view_.chain().sources();
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if ((present >> i & 1U) != 0) continue;
      const bool missing = !sources[i]->has(header.at.segment);
      findings_.push_back({sources[i]->name(), header.at.segment, header.at.offset, header.lsn,
                           missing ? "the segment is missing or of a wrong size" : "damaged or missing", true});
    }
  }

  LogView& view_;
  std::vector<Finding> findings_;
};

}  // namespace

Result<std::vector<Finding>> scrub_log(LogView& view,
                                       const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  Scrub scrub(view);
  std::uint64_t done = 0;
  const std::uint64_t all = view.segments().size() * view.key().segment_size;
  for (const ChainSegment& segment : view.segments()) {
    if (segment.first > view.durable_end()) break;
    scrub.segment(segment);
    done += view.key().segment_size;
    if (progress) progress(done, all);
  }
  auto findings = scrub.take();
  for (const std::string& damage : view.info().damage) {
    findings.push_back({"all locations", SegmentNumber{}, 0, Lsn{}, damage, false});
  }
  return findings;
}

}  // namespace holdfast::log
