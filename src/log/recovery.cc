#include "log/recovery.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <ranges>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"
#include "log/lost_segments.h"
#include "log/pipeline.h"
#include "log/quorum.h"
#include "log/replica_set.h"
#include "log/rot.h"

namespace holdfast::log {
namespace {

// Where a promise cannot be read, some unknown epoch may have been promised: stay clear of it.
constexpr std::uint64_t kUnknownPromises = 1U << 20;

// Prepared segments: all of them, since what the previous owner promised is to be found in them.
constexpr unsigned kMostKept = 4096;

constexpr std::uint64_t kMostSkipped = 1U << 20;  // numbers between two segments of one log

Result<std::optional<Promise>> read_promise(location::Location& location, const LogId& log_id) {
  const auto blob = location.read_blob(kPromiseBlob);
  if (!blob) return std::unexpected(blob.error());
  if (!*blob) return std::nullopt;
  auto promise = decode_promise(**blob, location.name());
  if (!promise) return std::unexpected(promise.error());
  if (promise->log_id != log_id) return fail(Error::Kind::kCorrupt, "a promise of another log");
  return *promise;
}

// Bytes of log between a batch and the last one that is issued before it is durable; generously, since the options may
// have been others then.
std::uint64_t pipeline_reach(const Options& options) {
  constexpr std::uint64_t kOverhead = 256U << 10;
  return std::max({kLeastReach, (options.max_in_flight + 1) * (options.batch_size + kOverhead),
                   Pipeline::most_bytes(options.batch_size) + 2 * kOverhead});
}

}  // namespace

Result<LogStart> Recovery::run(std::vector<std::unique_ptr<location::Location>> locations, Duration lock_bound) {
  auto membership = establish(std::move(locations), options_, entropy_, lock_bound);
  if (!membership) return std::unexpected(membership.error());
  membership_ = std::move(*membership);
  key_ = membership_.identity.key();
  auto start = find_start();
  if (!start) return explained(start.error());
  return start;
}

Result<LogStart> Recovery::find_start() {
  // Once more without those that did not answer, for as long as there are enough.
  auto found = find_end();
  while (leave_out_the_silent()) found = find_end();
  if (!found) return std::unexpected(found.error());
  // (3) The adopted tail, on W.
  auto done = bring_up_to_date();
  if (done) {
    restore_lost_segments();
    done = require_quorum();
  }
  if (done) done = visit();
  if (leave_out_the_silent()) return fail(Error::Kind::kTimeout, problems());
  if (!done) return std::unexpected(done.error());
  // (4) The epoch-start record is the running log's first.
  return make_start();
}

Result<void> Recovery::find_end() {
  find_sources();
  chain_ = std::make_unique<Chain>([this] {
    std::vector<Source*> all;
    for (const auto& source : sources_) all.push_back(source.get());
    return all;
  }());
  // (1) The promise comes first: from here on no older owner's epoch can start anywhere that matters.
  if (auto done = choose_and_promise_epoch(); !done) return done;
  // (2) The end, by (epoch, LSN).
  if (auto done = read_tail(); !done) return done;
  if (auto done = require_sight_of_end(); !done) return done;
  return decide_who_is_behind();
}

// A bad sector where the next batch would be may hold it: that no batch follows must have been seen where any durable
// one would be. What is there and makes no sense is another matter: such is what a torn write leaves.
Result<void> Recovery::require_sight_of_end() {
  if (HF_MUTANT(kSilentIsEmpty)) return {};
  const BatchPosition end = tail_.empty ? BatchPosition{} : BatchPosition{tail_.last.at.segment, tail_.last.end()};
  unsigned sighted = 0;
  std::string problems;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (member_of(i).refilling) continue;
    Source& source = *sources_[i];
    std::optional<std::string> problem;
    const auto& segments = source.segments();
    for (auto at = segments.lower_bound(end.segment.value); at != segments.end() && !problem; ++at) {
      const SegmentNumber segment{at->first};
      problem = source.unreadable_at({segment, segment == end.segment ? end.offset : 0});
    }
    sighted += problem ? 0 : 1;
    if (problem) problems += fmt::format("{}{}", problems.empty() ? "" : "; ", *problem);
  }
  const auto replicas = static_cast<unsigned>(membership_.members.size());
  if (problems.empty() || sighted >= read_quorum(replicas, membership_.identity.stored_on)) return {};
  return fail(Error::Kind::kIo,
              fmt::format("the log's end cannot be told: what may follow the batch with LSN {} (segment {} offset {}) "
                          "cannot be read: {}: mend the device, or give another of the log's locations",
                          tail_.last.lsn.value, end.segment.value, end.offset, problems));
}

// What could not be asked was passed over like what is not there: the log would end where it is silent.
bool Recovery::leave_out_the_silent() {
  bool any = false;
  for (std::size_t i = 0; i < sources_.size() && !HF_MUTANT(kSilentIsEmpty); ++i) {
    if (!sources_[i]->unanswered() || !member_of(i).usable()) continue;
    member_of(i).fail(*sources_[i]->unanswered());
    any = true;
  }
  return any;
}

// What makes no sense may not have been read, or is changed under our hands by one who has taken the log meanwhile.
std::unexpected<Error> Recovery::explained(Error error) {
  if (error.kind != Error::Kind::kCorrupt && error.kind != Error::Kind::kIo) return std::unexpected(std::move(error));
  for (const auto& source : sources_) {
    if (source->unanswered()) return fail(Error::Kind::kTimeout, *source->unanswered());
    if (auto held = source->location().confirm_lock(); !held) return std::unexpected(held.error());
  }
  return std::unexpected(std::move(error));
}

void Recovery::find_sources() {
  sources_.clear();
  member_index_.clear();
  promised_.assign(membership_.members.size(), false);
  first_segment_ = {};
  tail_ = {};
  for (Member& member : membership_.members) {
    if (member.state != LocationState::kBehind) continue;  // by what was found before
    member.state = LocationState::kActive;
    member.reason.clear();
  }
  for (std::size_t i = 0; i < membership_.members.size(); ++i) {
    Member& member = membership_.members[i];
    if (!member.usable()) continue;
    auto source = std::make_unique<Source>(member.location.get(), key_);
    source->end_at_silence();
    if (auto listed = source->list_segments(); !listed) {
      member.fail(listed.error().message);
      continue;
    }
    sources_.push_back(std::move(source));
    member_index_.push_back(i);
  }
  leave_out_strays();
}

// The new epoch begins behind everything that is there: a file with an absurd number must not send it there. A log's
// own numbers have no large gaps, and always others left above them.
void Recovery::leave_out_strays() {
  std::set<std::uint64_t> numbers;
  for (const auto& source : sources_) {
    for (const std::uint64_t number : source->segments() | std::views::keys) numbers.insert(number);
  }
  std::optional<std::uint64_t> before, stray;
  for (const std::uint64_t number : numbers) {
    const bool absurd = number > kSegmentNumberLimit.value / 2 || (before && number - *before > kMostSkipped);
    if (absurd) stray = stray.value_or(number);
    before = number;
  }
  if (!stray) return;
  const auto first_stray = [&](const auto& source) { return source->segments().lower_bound(*stray); };
  // Unless the log has been there: a header says where it belongs.
  for (const auto& source : sources_) {
    for (auto at = first_stray(source); at != source->segments().end(); ++at) {
      if (source->first_header(SegmentNumber{at->first})) return;
    }
  }
  for (std::size_t i = sources_.size(); i-- > 0;) {
    const auto found = first_stray(sources_[i]);
    if (found == sources_[i]->segments().end()) continue;
    const auto at = static_cast<std::ptrdiff_t>(i);
    member_of(i).fail(fmt::format("segment number {:#x} is no log's: move that file away", found->first));
    sources_.erase(sources_.begin() + at);
    member_index_.erase(member_index_.begin() + at);
  }
}

void Recovery::fail_source(std::size_t source, const Error& error) { member_of(source).fail(error.message); }

std::string Recovery::problems() const {
  std::string text;
  for (const Member& member : membership_.members) {
    if (member.reason.empty()) continue;
    text += fmt::format("{}{}", text.empty() ? "" : "; ", with_name(member.name, member.reason));
  }
  return text;
}

Result<void> Recovery::choose_and_promise_epoch() {
  const auto replicas = static_cast<unsigned>(membership_.members.size());
  const unsigned needed = read_quorum(replicas, membership_.identity.stored_on);
  const auto readable = static_cast<unsigned>(
      std::ranges::count_if(membership_.members, [](const Member& m) { return m.usable() && !m.refilling; }));
  if (readable < needed) {
    return fail(Error::Kind::kUnavailable,
                fmt::format("{} of this log's {} locations can be read, {} are needed to know its end: {}", readable,
                            replicas, needed, problems()));
  }
  chain_->find();
  std::uint64_t highest = 0, unknown = 0;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    for (const auto& [number, size] : sources_[i]->segments()) {
      first_segment_ = std::max(first_segment_, SegmentNumber{number + 1});
    }
    const auto promise = read_promise(sources_[i]->location(), key_.id);
    if (promise && *promise) highest = std::max(highest, (*promise)->epoch.counter);
    unknown += promise ? 0 : 1;
  }
  first_segment_ = std::max(first_segment_, SegmentNumber{1});
  if (!chain_->empty()) highest = std::max(highest, chain_->top().epoch.counter);
  highest += unknown * kUnknownPromises;
  epoch_ = {highest + 1, entropy_.epoch_id};
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!HF_MUTANT(kNoPromise)) {
      const auto stored = sources_[i]->location().write_blob(kPromiseBlob, encode(Promise{key_.id, epoch_}));
      if (!stored) {
        fail_source(i, stored.error());
        continue;
      }
    }
    promised_[member_index_[i]] = true;
  }
  return {};
}

Result<void> Recovery::read_tail() {
  auto tail = scan_tail(*chain_, key_, pipeline_reach(options_));
  if (!tail) return std::unexpected(tail.error());
  tail_ = std::move(*tail);
  // No record of these is newer than this start.
  for (ScannedSegment& scanned : tail_.segments) scanned.index.sealed_at(options_.wall_clock);
  if (!tail_.empty) chain_->keep_from(chain_->mark_at(tail_.last.checkpoint));
  tail_.missing_bytes.resize(sources_.size());
  tail_.first_missing.resize(sources_.size());
  return {};
}

Result<void> Recovery::decide_who_is_behind() {
  const Lsn end = tail_.empty ? Lsn{} : tail_.last.lsn;
  std::vector<Lsn> progress;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    progress.push_back(member_of(i).refilling ? Lsn{} : sources_[i]->progress());
    if (progress[i] > end) {
      return fail(
          Error::Kind::kCorrupt,
          fmt::format("{}: everything up to the batch with LSN {} was stored, and what can be read ends with LSN {}",
                      sources_[i]->name(), progress[i].value, end.value));
    }
  }
  ReplicaSet unknown = 0;
  if (!tail_.empty) {
    const auto compared = compare_history(*chain_, key_, progress, tail_);
    if (!compared) return std::unexpected(compared.error());
    unknown = *compared;
  }
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    Member& member = member_of(i);
    if (!member.usable()) continue;
    if ((unknown >> i & 1U) == 0) continue;
    member.state = LocationState::kBehind;
    member.reason = "older segments cannot be read anywhere to compare it with: scrub the log";
  }
  leave_behind_what_is_not_needed();
  return {};
}

void Recovery::restore_lost_segments() {
  if (tail_.empty) return;
  std::vector<std::optional<SegmentNumber>> spares;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const bool active = member_of(i).state == LocationState::kActive;
    spares.push_back(active ? std::optional(first_segment_ + ready_[i]) : std::nullopt);
  }
  LostSegments(*chain_, key_, tail_, options_).restore(spares);
}

// A start does not wait for a long copy, unless without it there would be no start: then for the shortest.
void Recovery::leave_behind_what_is_not_needed() {
  std::vector<std::size_t> by_lack;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (member_of(i).usable() && member_of(i).state == LocationState::kActive) by_lack.push_back(i);
  }
  std::ranges::sort(by_lack, {}, [this](std::size_t i) { return std::pair(tail_.missing_bytes[i], i); });
  const auto replicas = static_cast<unsigned>(membership_.members.size());
  const unsigned stored_on = membership_.identity.stored_on;
  const std::size_t needed = std::max(stored_on, promise_quorum(replicas, stored_on));
  for (std::size_t k = needed; k < by_lack.size(); ++k) {
    const std::uint64_t lack = tail_.missing_bytes[by_lack[k]];
    if (lack <= options_.copy_limit) continue;
    Member& member = member_of(by_lack[k]);
    member.state = LocationState::kBehind;
    member.reason = fmt::format("lacks {} MiB of the log: more than is copied at a start (--copy-limit)", lack >> 20);
  }
}

Result<void> Recovery::bring_up_to_date() {
  Repair repair(*chain_, key_, tail_);
  ready_.assign(sources_.size(), 0);
  ReplicaSet complete = 0;
  const bool reuse = HF_MUTANT(kReuseOldSegment) && !tail_.empty;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    Member& member = member_of(i);
    if (!member.usable()) continue;
    const auto ready = repair.clear_behind_end(i, first_segment_, reuse ? 0 : kMostKept);
    if (!ready) {
      fail_source(i, ready.error());
      continue;
    }
    ready_[i] = *ready;
    if (member.state != LocationState::kActive) continue;
    const std::uint64_t lack = tail_.missing_bytes[i];
    if (options_.on_copy && lack >= kWorthTelling) options_.on_copy(member.name, lack);
    auto done = repair.copy(i);
    if (done) done = repair.write_footers(i);
    if (!done && done.error().kind == Error::Kind::kFull) {
      member.state = LocationState::kBehind;
      member.reason = done.error().message;
    } else if (!done) {
      fail_source(i, done.error());
    } else {
      complete |= replica_bit(member_index_[i]);
    }
  }
  admit_refilled(membership_, complete);
  return {};
}

Result<void> Recovery::require_quorum() const {
  const auto replicas = static_cast<unsigned>(membership_.members.size());
  const unsigned stored_on = membership_.identity.stored_on;
  unsigned promised = 0, active = 0;
  for (std::size_t i = 0; i < membership_.members.size(); ++i) {
    const Member& member = membership_.members[i];
    if (!member.usable() || member.refilling) continue;
    promised += promised_[i] ? 1 : 0;
    active += member.state == LocationState::kActive ? 1 : 0;
  }
  const unsigned needed = promise_quorum(replicas, stored_on);
  if (promised >= needed && active >= stored_on) return {};
  return fail(
      Error::Kind::kUnavailable,
      fmt::format("{} of this log's {} locations hold all of it and {} took the new epoch; {} and {} are needed: {}",
                  active, replicas, promised, stored_on, needed, problems()));
}

Result<void> Recovery::visit() {
  if (tail_.empty) return {};
  const auto checkpoint = tail_.last.checkpoint;
  const BatchPosition start = checkpoint.value_or(BatchPosition{chain_->runs().front().first_segment, 0});
  bool begun = !checkpoint;
  ChainWalk walk(*chain_, start, ChainWalk::Look::kAny);
  while (true) {
    const auto step = walk.next();
    if (!step) return std::unexpected(step.error());
    if (!*step) break;
    const BatchHeader& header = (*step)->header;
    tail_.bytes_since_checkpoint += header.size();
    RecordWalk records(body_of(header, (*step)->bytes));
    while (const auto record = records.next()) {
      begun = begun || record->header.type == RecordType::kCheckpointBegin;
      if (!begun) continue;
      const auto position = header.at.offset + static_cast<std::uint32_t>(kBatchHeaderSize) + record->at;
      visitor_.on_record(record->header, record->payload, extent_of(record->header, header.at.segment, position));
    }
  }
  if (walk.last() && walk.last()->lsn == tail_.last.lsn) return {};
  return fail(Error::Kind::kCorrupt,
              fmt::format("segment {}: what was just read cannot be read again", walk.position().segment.value));
}

LogStart Recovery::make_start() {
  LogStart start;
  start.identity = membership_.identity;
  start.epoch = epoch_;
  start.first_segment = first_segment_;
  const bool reuse = HF_MUTANT(kReuseOldSegment) && !tail_.empty;
  if (!tail_.empty) {
    start.previous = {tail_.last.epoch, tail_.last.epoch_segment, tail_.last.lsn,
                      tail_.last.mac,   tail_.last.at.segment,    tail_.last.end()};
    start.checkpoint = tail_.last.checkpoint;
    start.first_kept = chain_->first_kept();
  }
  if (reuse) {
    start.first_segment = tail_.last.at.segment;
    start.first_offset = tail_.last.end();
  }
  start.clock_ceiling = tail_.clock_ceiling;
  start.next_stream = tail_.next_stream;
  start.bytes_since_checkpoint = tail_.bytes_since_checkpoint;
  std::set<SegmentNumber> kept;
  for (std::size_t i = 0; i < membership_.members.size(); ++i) {
    Member& member = membership_.members[i];
    ReplicaStart replica;
    replica.name = member.name;
    replica.state = member.state;
    replica.reason = member.reason;
    if (member.refilling && replica.state == LocationState::kActive) {
      replica.state = LocationState::kBehind;
      replica.reason = "being refilled";
    }
    replica.location = std::move(member.location);
    const auto source = std::ranges::find(member_index_, i);
    if (source != member_index_.end()) {
      const auto k = static_cast<std::size_t>(source - member_index_.begin());
      const Lsn missing = tail_.first_missing[k].value_or(tail_.last.lsn + 1);
      replica.prefix = replica.state == LocationState::kActive ? tail_.last.lsn : Lsn{missing.value - 1};
      replica.ready_through = reuse ? start.first_segment : SegmentNumber{first_segment_.value - 1 + ready_[k]};
      replica.segment_files = sources_[k]->segments().size() + ready_[k];
      for (const std::uint64_t number : sources_[k]->segments() | std::views::keys) {
        const SegmentNumber segment{number};
        if (segment >= start.first_segment) continue;
        replica.present.push_back({segment, sources_[k]->has(segment)});
        if (replica.state == LocationState::kActive) kept.insert(segment);
      }
    }
    start.replicas.push_back(std::move(replica));
  }
  // What a policy keeps is counted in segments of the chain: files of no run are an owner's that lost.
  const bool counts = options_.retention.bytes != 0 && !kept.empty() && !tail_.empty;
  if (counts && chain_->extend_to(*kept.begin())) {
    std::erase_if(kept, [this](SegmentNumber segment) { return chain_->run_of(segment) == nullptr; });
  }
  start.kept.assign(kept.begin(), kept.end());
  return start;
}

}  // namespace holdfast::log
