#include "log/write_ahead_log.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "log/record_codec.h"
#include "log/replica_set.h"

namespace holdfast::log {
namespace {

constexpr std::size_t kReceiveSpace = 66U << 10;  // log.h promises at least this much
constexpr std::size_t kSpareSlots = 3;            // the open batch, and sealed ones that wait
constexpr std::size_t kLagSlots = 32;             // batches that a location above W may be behind
constexpr std::size_t kMostAnchors = 64;
constexpr std::size_t kStreamsExpected = 4096;  // in one segment; more are allocated as they come

std::size_t buffer_size(const Options& options) {
  return round_up(options.batch_size + record_size(kMaxRecordPayload) + kReceiveSpace, kBlock);
}

// Only a location across a network can be so far away that it takes more than a few.
unsigned most_in_flight(const Options& options, const std::vector<ReplicaStart>& replicas) {
  const bool remote =
      std::ranges::any_of(replicas, [](const ReplicaStart& r) { return r.location && r.location->remote(); });
  return remote ? std::max(options.max_in_flight, options.most_in_flight) : options.max_in_flight;
}

std::size_t slot_count(unsigned in_flight, const Identity& identity) {
  const std::size_t spare_locations = identity.members.size() - identity.stored_on;
  return std::min<std::size_t>(Prefix::kSpan, in_flight + kSpareSlots + kLagSlots * spare_locations);
}

}  // namespace

WriteAheadLog::WriteAheadLog(LogStart start, const Options& options)
    : options_(options),
      identity_(std::move(start.identity)),
      key_(identity_.key()),
      epoch_(start.epoch),
      epoch_segment_(start.first_segment),
      epoch_start_(start.previous.end_lsn + 1),
      slots_(slot_count(most_in_flight(options, start.replicas), identity_), buffer_size(options)),
      footers_(key_),
      scratch_(kMaxRecordPayload),
      completions_(64),
      pipeline_(options.max_in_flight, most_in_flight(options, start.replicas), options.batch_size),
      cursor_(key_, start.first_segment, start.first_offset, start.epoch),
      next_lsn_(epoch_start_),
      last_issued_(start.previous.end_lsn),
      last_mac_(start.previous.end_mac),
      durable_(start.previous.end_lsn),
      wanted_clock_(start.clock_ceiling),
      stored_clock_(start.clock_ceiling),
      next_stream_(start.next_stream),
      pacer_(options.checkpoint_every, start.bytes_since_checkpoint),
      checkpoint_(start.checkpoint),
      kept_(start.kept, options.wall_clock),
      wall_clock_(options.wall_clock),
      mark_begun_(start.first_kept),
      mark_complete_(start.first_kept),
      mark_in_force_(start.first_kept) {
  kept_.drop_before(start.first_kept);
  HF_ASSERT(start.replicas.size() <= kMaxReplicas);
  cursor_.index().expect(kStreamsExpected);
  for (ReplicaStart& replica : start.replicas) {
    progress_at_.push_back(SegmentNumber{});
    if (location::Location* location = replica.location.get()) location->expect_writes_from(slots_.memory());
    replicas_.emplace_back(std::move(replica));
  }
  prefixes_.reserve(replicas_.size());
  sealed_.reserve(slots_.size());
  RecordHeader header;
  header.type = RecordType::kEpochStart;
  header.offset = epoch_.counter;
  const Lsn lsn = append(header, encode_epoch_start(start.previous));
  HF_ASSERT(lsn == epoch_start_);
}

WriteAheadLog::~WriteAheadLog() = default;

unsigned WriteAheadLog::active_count() const {
  return static_cast<unsigned>(std::ranges::count_if(replicas_, &Replica::active));
}

// ---- The open batch ----

bool WriteAheadLog::segment_ready(SegmentNumber segment) const {
  const auto ready = std::ranges::count_if(
      replicas_, [segment](const Replica& r) { return r.active() && r.ready_through() >= segment; });
  return ready >= static_cast<std::ptrdiff_t>(identity_.stored_on);
}

// There is a place for another batch: in this segment, or in the next one once it is ready on W locations.
bool WriteAheadLog::ensure_place() {
  const bool leave = cursor_.exhausted() || (leave_segment_ && cursor_.begun());
  if (!leave) return true;
  if (!segment_ready(cursor_.segment() + 1)) return !cursor_.exhausted();
  leave_segment_ = false;
  look_ = true;
  kept_.seal(cursor_.segment(), cursor_.index().last_lsn(), wall_clock_);
  cursor_.index().sealed_at(wall_clock_);
  footers_.add(cursor_.index(), first_replicas(replicas_.size()));
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    if (!replicas_[i].active()) footers_.abandon(static_cast<unsigned>(i));
  }
  cursor_.next_segment();
  return true;
}

bool WriteAheadLog::open_batch() {
  if (builder_.active()) return true;
  if (!ensure_place()) return false;
  const auto slot = acquire_slot();
  if (!slot) return false;
  open_slot_ = *slot;
  BatchSlot& open = slots_[open_slot_];
  open.header.at = cursor_.position();
  open.header.epoch = epoch_;
  open.header.epoch_segment = epoch_segment_;
  open.header.lsn = next_lsn_;
  builder_.begin(open.buffer.data(), std::min<std::size_t>(open.buffer.size(), cursor_.room()));
  cursor_.index().add_batch(open.header.at);
  return true;
}

// While one more stream enters the index.
std::size_t WriteAheadLog::room_in_open() const {
  const std::size_t segment_room = cursor_.open_room();
  return segment_room <= builder_.used() ? 0 : std::min(builder_.room(), segment_room - builder_.used());
}

void WriteAheadLog::seal_open() {
  BatchSlot& open = slots_[open_slot_];
  builder_.finish(key_, open.header);
  open.state = BatchSlot::State::kSealed;
  sealed_.push_back(open_slot_);
  cursor_.advance(open.header.lsn, open.header.size());
  pacer_.wrote(open.header.size());
  next_lsn_ = next_lsn_ + 1;
  open_forced_ = false;
}

MutableBytes WriteAheadLog::receive_space() {
  constexpr std::size_t kOverhead = kRecordHeaderSize + kCommitPrefix + kRecordAlignment;
  if (builder_.active() && room_in_open() < kReceiveSpace + kOverhead) seal_open();
  if (!open_batch()) return {};
  return {builder_.next_payload(), std::min(room_in_open() - kOverhead, kMaxPayload)};
}

Lsn WriteAheadLog::append(RecordHeader header, Bytes payload, std::uint64_t consumed) {
  HF_ASSERT(payload.size() <= kMaxPayload);
  if (!open_batch()) return Lsn{};
  if (record_size(payload.size() + kCommitPrefix) > room_in_open()) {
    seal_open();
    if (!open_batch()) return Lsn{};
  }
  const Lsn lsn = next_lsn_;
  const BatchPosition batch = slots_[open_slot_].header.at;
  const std::uint64_t offset = header.offset;
  const auto appended = builder_.append(header, payload, consumed);
  const std::uint32_t position = batch.offset + appended.position;
  cursor_.index().add_record(appended.header, position, consumed);
  last_extent_ = extent_of(appended.header, batch.segment, position);
  last_extent_.offset = offset;
  last_extent_.length = static_cast<std::uint32_t>(payload.size());
  if (builder_.used() >= options_.batch_size) seal_open();
  return lsn;
}

Lsn WriteAheadLog::barrier() {
  open_forced_ = true;  // also where it cannot be opened yet: then as soon as it can
  open_batch();
  return next_lsn_;
}

// ---- The way to the locations ----

std::optional<std::uint8_t> WriteAheadLog::acquire_slot() {
  if (auto slot = slots_.acquire()) return slot;
  if (!take_out_laggard()) return std::nullopt;
  slots_.release_up_to(durable_);
  return slots_.acquire();
}

// Memory is short. A location above W that holds batches which are durable without it would stall the rest.
bool WriteAheadLog::take_out_laggard() {
  if (active_count() <= identity_.stored_on) return false;
  std::size_t slowest = replicas_.size();
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    if (!replicas_[i].active() || replicas_[i].prefix() >= durable_) continue;
    if (slowest == replicas_.size() || replicas_[i].prefix() < replicas_[slowest].prefix()) slowest = i;
  }
  if (slowest == replicas_.size()) return false;
  const Replica& replica = replicas_[slowest];
  fail_replica(slowest, LocationState::kBehind,
               replica.full()
                   ? "no space left"
                   : fmt::format("too slow: {} batches behind the others", durable_.value - replica.prefix().value));
  return true;
}

void WriteAheadLog::fail_replica(std::size_t replica, LocationState state, std::string reason) {
  replicas_[replica].take_out(state, std::move(reason));
  replicas_[replica].clear_queue();
  for (std::size_t i = 0; i < slots_.size(); ++i) slots_[i].queued &= ~replica_bit(replica);
  footers_.abandon(static_cast<unsigned>(replica));
}

void WriteAheadLog::take_completions() {
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    location::Location* location = replicas_[i].location();
    if (location == nullptr) continue;
    while (const std::size_t n = location->poll(completions_)) {
      for (std::size_t k = 0; k < n; ++k) take_completion(i, completions_[k]);
    }
  }
}

void WriteAheadLog::take_completion(std::size_t replica, const location::Completion& completion) {
  const TokenParts parts = split_token(completion.token);
  switch (parts.operation) {
    case Operation::kWrite:
      take_write(replica, parts, completion.error);
      return;
    case Operation::kFooter:
      footers_.written(static_cast<unsigned>(replica), SegmentNumber{parts.number});
      if (completion.error) fail_replica(replica, LocationState::kFailed, completion.error->message);
      return;
    case Operation::kPrepare:
      if (completion.error && completion.error->kind != Error::Kind::kFull) {
        fail_replica(replica, LocationState::kFailed, completion.error->message);
        return;
      }
      replicas_[replica].prepared(SegmentNumber{parts.number}, completion.error);
      drain_queue(replica);
      return;
    case Operation::kRemove:
      if (completion.error) return fail_replica(replica, LocationState::kFailed, completion.error->message);
      replicas_[replica].removed();
      return;
    case Operation::kProgress:
      if (completion.error) fail_replica(replica, LocationState::kFailed, completion.error->message);
      return;
  }
}

void WriteAheadLog::take_write(std::size_t replica, const TokenParts& parts, const std::optional<Error>& error) {
  BatchSlot& slot = slots_[parts.slot];
  HF_ASSERT(slot.state == BatchSlot::State::kIssued && slot.header.lsn.value == parts.number);
  HF_ASSERT((slot.writing & replica_bit(replica)) != 0);
  slot.writing &= ~replica_bit(replica);
  replicas_[replica].answered();
  if (error && !HF_MUTANT(kFailedWriteCounts)) {
    fail_replica(replica, LocationState::kFailed, error->message);
    return;
  }
  if (!replicas_[replica].active()) return;
  replicas_[replica].stored(slot.header.lsn);
  drain_queue(replica);
}

unsigned WriteAheadLog::copies(Lsn lsn) const {
  unsigned copies = 0;
  for (const Replica& replica : replicas_) {
    if (replica.active() && replica.prefix() >= lsn) copies += replica.copies();
  }
  return copies;
}

unsigned WriteAheadLog::most_copies() const {
  unsigned copies = 0;
  for (const Replica& replica : replicas_) copies += replica.copies();
  return copies;
}

bool WriteAheadLog::update_durable() {
  prefixes_.clear();
  for (const Replica& replica : replicas_) {
    if (replica.active()) prefixes_.push_back(replica.prefix());
  }
  const Lsn durable = durable_on(prefixes_, identity_.stored_on);
  const bool moved = durable > durable_;
  if (moved) {
    durable_ = durable;
    pipeline_.durable(durable_);
    stored_clock_ = std::max(stored_clock_, slots_.clock_ceiling_at(durable_).value_or(0));
  }
  slots_.release_up_to(durable_);
  return moved;
}

void WriteAheadLog::write(std::size_t replica, std::uint8_t slot_index) {
  BatchSlot& slot = slots_[slot_index];
  slot.writing |= replica_bit(replica);
  replicas_[replica].submitted();
  replicas_[replica].location()->write(make_token({Operation::kWrite, slot.header.lsn.value, slot_index}),
                                       slot.header.at.segment, slot.header.at.offset, slot.bytes());
}

void WriteAheadLog::drain_queue(std::size_t replica) {
  Replica& to = replicas_[replica];
  while (to.active() && !to.queue().empty()) {
    BatchSlot& slot = slots_[to.queue().front()];
    if (!to.may_submit(slot.header)) return;
    const std::uint8_t index = to.dequeue();
    slot.queued &= ~replica_bit(replica);
    write(replica, index);
  }
}

// Ceilings, durable LSN and predecessor are those of the moment of issue.
void WriteAheadLog::issue(std::uint8_t slot_index) {
  BatchSlot& slot = slots_[slot_index];
  BatchHeader& header = slot.header;
  HF_ASSERT(header.lsn == last_issued_ + 1);
  if (pacer_.complete() && header.lsn >= pacer_.complete()->end_lsn) {
    checkpoint_ = pacer_.complete()->begin;
    mark_in_force_ = mark_complete_;
  }
  if (header.at.offset == 0 && mark_in_force_ > mark_anchored_) {
    mark_anchored_ = mark_in_force_;
    anchors_.push_back({header.lsn, mark_anchored_});
    if (anchors_.size() > kMostAnchors) anchors_.pop_front();
  }
  header.durable = durable_;
  header.clock_ceiling = wanted_clock_;
  header.next_stream = next_stream_;
  header.predecessor = last_mac_;
  header.checkpoint = checkpoint_;
  last_mac_ = header.mac = encode_batch_header(header, key_, slot.buffer.data());
  last_issued_ = header.lsn;
  pipeline_.issued(header.lsn, header.size());
  slot.state = BatchSlot::State::kIssued;
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    if (!replica.active()) continue;
    if (replica.queue().empty() && replica.may_submit(header)) {
      write(i, slot_index);
    } else {
      slot.queued |= replica_bit(i);
      replica.enqueue(slot_index);
    }
  }
}

void WriteAheadLog::open_what_is_wanted() {
  if (quorum_lost()) return;
  if (!builder_.active() && open_forced_) open_batch();
}

bool WriteAheadLog::has_unissued() const {
  return !sealed_.empty() || (builder_.active() && !builder_.empty()) || open_forced_;
}

bool WriteAheadLog::busy() const {
  return std::ranges::any_of(replicas_,
                             [](const Replica& r) { return r.location() != nullptr && r.location()->in_flight() > 0; });
}

// What is in the open batch leaves then, where nothing else takes it along before.
Time WriteAheadLog::deadline() const {
  const bool waits = flush_ && !quorum_lost() && builder_.active() && has_unissued();
  return waits && in_flight() < pipeline_.limit() ? pipeline_.due() : kNever;
}

bool WriteAheadLog::pump(bool flush) {
  flush_ = flush;
  take_completions();
  const bool moved = update_durable();
  drive_checkpoint();
  hurry_release();
  open_what_is_wanted();
  while (!quorum_lost()) {
    IssueState state;
    state.in_flight = in_flight();
    state.max_in_flight = pipeline_.limit();
    state.few = pipeline_.few();
    state.due = pipeline_.now() >= pipeline_.due();
    state.sealed = static_cast<unsigned>(sealed_.size());
    state.open_wanted = has_unissued() && builder_.active();
    state.flush = flush;
    state.open_bytes = builder_.active() ? builder_.used() : 0;
    state.full_bytes = options_.batch_size;
    const IssueDecision decision = decide_issue(state);
    if (decision == IssueDecision::kNothing) break;
    if (decision == IssueDecision::kSealAndIssue) seal_open();
    const std::uint8_t slot = sealed_.front();
    sealed_.erase(sealed_.begin());
    issue(slot);
  }
  look_after_segments();
  return moved;
}

void WriteAheadLog::drive_checkpoint() {
  if (checkpoint_source_ == nullptr || quorum_lost()) return;
  const auto mark = mark_due();
  // The room that is kept for small records is for this as well: it makes room.
  if (mark || (pacer_.due() && unreserved() > 0)) {
    RecordHeader begin;
    begin.type = RecordType::kCheckpointBegin;
    begin.offset = mark.value_or(mark_begun_).value;
    const Lsn lsn = append(begin, {});
    if (lsn == Lsn{}) return;
    mark_begun_ = SegmentNumber{begin.offset};
    kept_.drop_before(mark_begun_);
    pacer_.began(slots_[open_slot_].header.at, lsn);
    checkpoint_source_done_ = false;
    checkpoint_source_->checkpoint_begin();
  }
  if (!pacer_.step_due(next_lsn_)) return;
  pacer_.stepped(next_lsn_);
  if (!checkpoint_source_done_) {
    checkpoint_source_done_ = !checkpoint_source_->checkpoint_step(CheckpointPacer::kStepBytes);
  }
  if (!checkpoint_source_done_) return;
  RecordHeader end;
  end.type = RecordType::kCheckpointEnd;
  end.offset = pacer_.begin_lsn().value;
  const Lsn lsn = append(end, {});
  if (lsn == Lsn{}) return;
  pacer_.ended(lsn);
  mark_complete_ = mark_begun_;
}

void WriteAheadLog::promise_clock(std::uint64_t ceiling) { wanted_clock_ = std::max(wanted_clock_, ceiling); }

std::vector<LocationStatus> WriteAheadLog::locations() const {
  std::vector<LocationStatus> all;
  for (const Replica& replica : replicas_) all.push_back(replica.status());
  return all;
}

}  // namespace holdfast::log
