#include "log/log_view.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <ranges>

#include "log/footer_reader.h"
#include "log/log.h"
#include "log/quorum.h"
#include "log/rot.h"

namespace holdfast::log {
namespace {

constexpr std::size_t kMaxScanned = 64;  // segments whose index is kept in memory

}  // namespace

Result<std::unique_ptr<LogView>> LogView::open(const std::vector<location::Location*>& locations) {
  auto view = std::unique_ptr<LogView>(new LogView);
  std::vector<std::optional<Identity>> identities;
  bool found = false;
  std::optional<Error> unread;
  for (location::Location* location : locations) {
    ReaderLocation info;
    info.name = location->name();
    std::optional<Identity> identity;
    const auto blob = location->read_blob(kIdentityBlob);
    if (!blob) {
      info.problem = blob.error().message;
      if (!unread) unread = Error{blob.error().kind, with_name(info.name, info.problem)};
    } else if (!*blob) {
      info.problem = "holds no log";
    } else if (auto decoded = decode_identity(**blob, location->name())) {
      identity = std::move(*decoded);
    } else if (decoded.error().kind == Error::Kind::kIncompatible) {
      return std::unexpected(decoded.error());
    } else {
      info.problem = decoded.error().message;
      if (!unread) unread = Error{decoded.error().kind, with_name(info.name, info.problem)};
    }
    const auto better = [&](const Identity& than) {
      if (identity->refilling != than.refilling) return than.refilling;
      return identity->generation > than.generation;
    };
    if (identity && (!found || better(view->identity_))) view->identity_ = *identity;
    found = found || identity.has_value();
    identities.push_back(std::move(identity));
    view->info_.locations.push_back(std::move(info));
  }
  if (!found) {
    if (unread) return std::unexpected(*std::move(unread));
    const auto& first = view->info_.locations[0];
    return fail(Error::Kind::kUsage,
                locations.size() == 1 ? with_name(first.name, first.problem) : "none of these locations holds a log");
  }
  view->key_ = view->identity_.key();
  for (std::size_t i = 0; i < locations.size(); ++i) {
    if (identities[i]) view->take_source(locations[i], *identities[i], i);
  }
  view->info_.id = to_string(view->key_.id);
  view->info_.replicas = static_cast<unsigned>(view->identity_.members.size());
  view->info_.stored_on = view->identity_.stored_on;
  view->info_.segment_size = view->key_.segment_size;
  if (auto refreshed = view->refresh(); !refreshed) return std::unexpected(refreshed.error());
  if (!view->has_owner()) view->look_for_rot();
  return view;
}

void LogView::take_source(location::Location* location, const Identity& identity, std::size_t index) {
  ReaderLocation& info = info_.locations[index];
  if (identity.log_id != key_.id) {
    info.problem = fmt::format("belongs to another log, {}", to_string(identity.log_id));
    return;
  }
  const auto& members = identity_.members;
  if (!identity.refilling && (identity.index >= members.size() || members[identity.index] != identity.own_id())) {
    info.problem = "another location has taken its place in this log";
    return;
  }
  info.usable = true;
  if (identity.refilling) {
    info.problem = "being refilled";
    ++refilling_;
  } else {
    counting_ |= replica_bit(sources_.size());
  }
  sources_.push_back(std::make_unique<Source>(location, key_));
  info_index_.push_back(index);
}

void LogView::inspect_locations() {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    Source& source = *sources_[i];
    ReaderLocation& info = info_.locations[info_index_[i]];
    if (auto listed = source.list_segments(); !listed) {
      info.problem = listed.error().message;
      continue;
    }
    info.segments = source.segments().size();
    info.bytes = 0;
    for (const std::uint64_t size : source.segments() | std::views::values) info.bytes += size;
    stored_ = std::max(stored_, source.progress());
    const auto blob = source.location().read_blob(kPromiseBlob);
    if (!blob || !*blob) continue;
    if (const auto promise = decode_promise(**blob, info.name)) info.promised = promise->epoch;
  }
}

Result<bool> LogView::refresh() {
  inspect_locations();
  auto fresh = std::make_unique<Chain>(all_sources());
  fresh->find();
  if (fresh->empty()) {
    tell_damage();
    return false;
  }
  // What was to be looked at next may be released already.
  const bool outrun = walk_ && fresh->first_kept() > walk_->position().segment;
  if (outrun || !chain_ || chain_->empty() || chain_->runs().back().epoch != fresh->runs().back().epoch) {
    chain_ = std::move(fresh);
    if (auto built = rebuild(); !built) return std::unexpected(built.error());
  } else {
    forget_before(fresh->first_kept());
  }
  const Lsn before = info_.end;
  info_.epoch = chain_->runs().back().epoch;
  const Lsn end = std::max(probe(), before);
  if (auto done = index_up_to(end); !done) return std::unexpected(done.error());
  tell_damage();
  return info_.end > before;
}

void LogView::tell_damage() {
  info_.damage = damage_;
  // Silence, or what cannot be read, is no end.
  const bool at_rest = walk_ && !has_owner();
  for (const auto& source : sources_) {
    std::optional<std::string> problem = source->unanswered();
    if (!problem && at_rest) problem = source->unreadable_at(walk_->position());
    if (problem) info_.damage.push_back(fmt::format("there may be more than is shown: {}", *problem));
    source->forget_silence();
  }
  if (!rot_.empty()) {
    info_.damage.push_back(rot_);
  } else if (info_.end < stored_) {
    info_.damage.push_back(
        fmt::format("everything up to the batch with LSN {} was stored, and what can be read ends "
                    "with LSN {}",
                    stored_.value, info_.end.value));
  }
}

// Once, and only in a log that nobody writes: beside an owner, what follows a batch may be read before that batch is.
void LogView::look_for_rot() {
  const bool begun = chain_ && !chain_->empty();
  const BatchPosition end = begun ? walk_->position() : BatchPosition{};
  const Lsn missing = begun ? walk_->expected().value_or(info_.end + 1) : Lsn{1};
  const auto sound = check_for_rot(all_sources(), key_, end, missing, kLeastReach);
  if (!sound && !has_owner()) rot_ = sound.error().message;
  tell_damage();
}

// A new epoch: which segments count has to be found out again.
Result<void> LogView::rebuild() {
  walk_.reset();
  scanned_.clear();
  streams_.clear();
  damage_.clear();
  info_.end = Lsn{};
  std::uint64_t lowest = UINT64_MAX;
  for (const auto& source : sources_) {
    if (!source->segments().empty()) lowest = std::min(lowest, source->segments().begin()->first);
  }
  if (auto reached = chain_->extend_to(SegmentNumber{lowest}); !reached) damage_.push_back(reached.error().message);
  segments_ = list_segments(*chain_, key_);
  info_.first_kept = chain_->first_kept();
  if (!segments_.empty()) info_.first = segments_.front().first;
  const SegmentNumber start = index_stable_segments();
  walk_ = std::make_unique<ChainWalk>(*chain_, BatchPosition{start, 0}, ChainWalk::Look::kAny);
  return {};
}

// Released since the last look. The chain's runs may reach further back than what is there; nothing looks there.
void LogView::forget_before(SegmentNumber first) {
  if (first <= info_.first_kept || segments_.empty()) return;
  info_.first_kept = first;
  std::erase_if(segments_, [first](const ChainSegment& segment) { return segment.number < first; });
  std::erase_if(scanned_, [first](const auto& scanned) { return scanned.first < first.value; });
  streams_.drop_before(first);
  if (!segments_.empty()) info_.first = segments_.front().first;
}

// Those that end in what is known to be durable: by footer, else by a scan. Returns the first that is not one of them.
SegmentNumber LogView::index_stable_segments() {
  info_.next_stream = std::max(info_.next_stream, chain_->top().next_stream);
  const Lsn durable = std::max(chain_->top().durable, chain_->runs().back().previous.end_lsn);
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    ChainSegment& segment = segments_[i];
    const Lsn latest = latest_end(i);
    if (latest == Lsn{} || latest > durable) return segment.number;
    if (segment.last == Lsn{}) {
      take_what_is_left(segment);
      continue;
    }
    auto index = index_of(segment.number);
    if (index) {
      streams_.add(*index);
      info_.end = std::max(info_.end, segment.last);
    } else {
      damage_.push_back(index.error().message);
      take_what_is_left(segment);
    }
  }
  return chain_->runs().back().first_segment;
}

// No later can this segment end; 0 where nothing of its epoch is known to follow. (What follows may have landed before
// what lies between: that is no damage.)
Lsn LogView::latest_end(std::size_t index) const {
  const ChainSegment& segment = segments_[index];
  if (segment.last != Lsn{}) return segment.last;
  for (std::size_t i = index + 1; i < segments_.size() && segments_[i].epoch == segment.epoch; ++i) {
    if (segments_[i].known_first) return Lsn{segments_[i].first.value - 1};
    if (segments_[i].last != Lsn{}) return segments_[i].last;
  }
  return {};
}

// Its footer is bad at every location and so is some batch, or the first batch of the segment behind it, which would
// say where this one ends.
void LogView::take_what_is_left(ChainSegment& segment) {
  SegmentIndex index;
  const auto scanned = scan(segment, index);
  segment.cut = segment.last == Lsn{};
  if (segment.cut) damage_.push_back(scanned.error().message);
  if (index.batches().empty()) return;
  if (segment.cut) segment.last = index.last_lsn();
  info_.end = std::max(info_.end, index.last_lsn());
  scanned_[segment.number.value] = index;
  streams_.add(index);
}

// Up to the segment's end, which an error says was not reached.
Result<void> LogView::scan(const ChainSegment& segment, SegmentIndex& index) const {
  index.reset(segment.number, segment.epoch);
  ChainWalk walk(*chain_, {segment.number, 0}, ChainWalk::Look::kAny);
  while (segment.last == Lsn{} || !walk.last() || walk.last()->lsn < segment.last) {
    const auto step = walk.next();
    if (!step) return std::unexpected(step.error());
    if (!*step || (*step)->header.at.segment != segment.number) {
      return fail(Error::Kind::kCorrupt,
                  fmt::format("segment {} offset {}: a stored batch cannot be read at any location",
                              segment.number.value, walk.position().offset));
    }
    index.add_stored_batch((*step)->header, (*step)->bytes);
  }
  return {};
}

Result<SegmentIndex> LogView::index_of(SegmentNumber number) {
  const auto known = scanned_.find(number.value);
  if (known != scanned_.end()) return known->second;
  const auto segment = std::ranges::find(segments_, number, &ChainSegment::number);
  if (segment == segments_.end() || segment->last == Lsn{}) {
    return fail(Error::Kind::kUnavailable, fmt::format("segment {} is not there (any more)", number.value));
  }
  for (const auto& source : sources_) {
    if (auto index = read_footer(*source, key_, number, segment->epoch, segment->last)) return std::move(*index);
  }
  SegmentIndex index;
  if (auto scanned = scan(*segment, index); !scanned) return std::unexpected(scanned.error());
  scanned_[number.value] = index;
  return index;
}

std::vector<Source*> LogView::all_sources() const {
  std::vector<Source*> all;
  for (const auto& source : sources_) all.push_back(source.get());
  return all;
}

bool LogView::has_owner() const {
  return std::ranges::any_of(sources_, [](const auto& source) { return source->location().has_owner(); });
}

// How far the log is durable now: what a batch says that was issued later, what a later epoch adopted, what a location
// says of its progress, or what W locations have.
Lsn LogView::probe() {
  const bool owned = has_owner();
  ChainWalk ahead = *walk_;
  ahead.look_everywhere();
  struct Found {
    Lsn lsn;
    ReplicaSet present, damaged;
  };
  std::vector<Found> found;
  Lsn durable;
  while (true) {
    const auto step = ahead.next();
    if (!step || !*step) break;
    const BatchHeader& header = (*step)->header;
    found.push_back({header.lsn, (*step)->present, (*step)->damaged});
    durable = std::max(durable, ahead.run().closed ? header.lsn : header.durable);
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (((*step)->present >> i & 1U) != 0) info_.locations[info_index_[i]].last = header.lsn;
    }
  }
  if (!found.empty()) durable = std::max(durable, std::min(stored_, found.back().lsn));
  // Beside an owner what looks damaged may be on its way. Without one, a location with a bad copy, or without one of
  // what is durable, may have held everything else that cannot be read there either.
  const bool tell_damaged = !owned && !has_owner();
  ReplicaSet complete = counting_, suspect = 0;
  for (const auto& [lsn, present, damaged] : found) {
    if (lsn > durable) complete &= present;
    if (tell_damaged) suspect |= counting_ & ~present & (lsn <= durable ? ~ReplicaSet{0} : damaged);
    if (lsn <= durable) continue;
    const int holders = std::popcount(complete) + std::popcount(suspect & ~complete);
    if (static_cast<unsigned>(holders) + absent_holders() < identity_.stored_on) break;
    durable = lsn;
  }
  info_.undecided =
      tell_damaged && !found.empty() ? found.back().lsn.value - std::min(durable, found.back().lsn).value : 0;
  return durable;
}

// How many locations that cannot be read may hold what is acknowledged. Where the others are as many as a recovery
// needs it would adopt whatever one of them has: so do we, or the last bytes that were acknowledged would be missing.
unsigned LogView::absent_holders() const {
  const auto replicas = static_cast<unsigned>(identity_.members.size());
  const auto counting = static_cast<unsigned>(std::popcount(counting_));
  return enough_to_start() ? replicas - std::min(replicas, counting + refilling_) : 0;
}

bool LogView::enough_to_start() const {
  const auto replicas = static_cast<unsigned>(identity_.members.size());
  return static_cast<unsigned>(std::popcount(counting_)) >= read_quorum(replicas, identity_.stored_on);
}

Result<void> LogView::index_up_to(Lsn end) {
  const SegmentNumber first_touched = walk_->position().segment;
  while (true) {
    const Lsn next = walk_->expected().value_or(info_.end + 1);
    if (next > end) break;
    const auto step = walk_->next();
    if (!step) return std::unexpected(step.error());
    if (!*step) break;
    const BatchHeader& header = (*step)->header;
    auto [at, is_new] = scanned_.try_emplace(header.at.segment.value);
    if (is_new) at->second.reset(header.at.segment, header.epoch);
    if (segments_.empty() || segments_.back().number < header.at.segment) {
      if (!segments_.empty() && segments_.back().last == Lsn{}) segments_.back().last = Lsn{header.lsn.value - 1};
      segments_.push_back({header.at.segment, header.epoch, header.lsn, true, Lsn{}});
    }
    at->second.add_stored_batch(header, (*step)->bytes);
    info_.next_stream = std::max(info_.next_stream, header.next_stream);
    info_.end = header.lsn;
  }
  for (const auto& [number, index] : scanned_) {
    if (number >= first_touched.value) streams_.add(index);
  }
  // By now these have footers; and without one, they can be scanned again.
  while (scanned_.size() > kMaxScanned) scanned_.erase(scanned_.begin());
  return {};
}

}  // namespace holdfast::log
