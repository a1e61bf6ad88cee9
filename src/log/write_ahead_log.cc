#include "log/write_ahead_log.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "log/record_codec.h"

namespace holdfast::log {
namespace {

constexpr std::size_t kReceiveSpace = 66U << 10;   // log.h promises at least this much
constexpr std::size_t kSpareSlots = 3;             // the open batch, and sealed ones that wait
constexpr std::size_t kLagSlots = 32;              // batches that a location above W may be behind
constexpr std::size_t kStreamsExpected = 4096;     // in one segment; more are allocated as they come
constexpr std::uint64_t kProgressEvery = 16;       // segments between two progress records
constexpr std::uint64_t kKeptPart = 16;            // one part in so many of the room is for small records
constexpr std::uint64_t kMostReserved = 1U << 16;  // segments

std::size_t buffer_size(const Options& options) {
  return round_up(options.batch_size + record_size(kMaxRecordPayload) + kReceiveSpace, kBlock);
}

std::size_t slot_count(const Options& options, const Identity& identity) {
  const std::size_t spare_locations = identity.members.size() - identity.stored_on;
  return std::min<std::size_t>(Prefix::kSpan, options.max_in_flight + kSpareSlots + kLagSlots * spare_locations);
}

}  // namespace

WriteAheadLog::WriteAheadLog(LogStart start, const Options& options)
    : options_(options),
      identity_(std::move(start.identity)),
      key_(identity_.key()),
      epoch_(start.epoch),
      epoch_segment_(start.first_segment),
      epoch_start_(start.previous.end_lsn + 1),
      slots_(slot_count(options, identity_), buffer_size(options)),
      footers_(key_),
      scratch_(kMaxRecordPayload),
      completions_(64),
      cursor_(key_, start.first_segment, start.first_offset, start.epoch),
      next_lsn_(epoch_start_),
      last_issued_(start.previous.end_lsn),
      last_mac_(start.previous.end_mac),
      durable_(start.previous.end_lsn),
      wanted_clock_(start.clock_ceiling),
      stored_clock_(start.clock_ceiling),
      next_stream_(start.next_stream),
      pacer_(options.checkpoint_every, start.bytes_since_checkpoint),
      checkpoint_(start.checkpoint) {
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
  if (!cursor_.exhausted()) return true;
  if (!segment_ready(cursor_.segment() + 1)) return false;
  footers_.add(cursor_.index(), (1U << replicas_.size()) - 1);
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
  for (std::size_t i = 0; i < slots_.size(); ++i) slots_[i].queued &= ~(1U << replica);
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
  }
}

void WriteAheadLog::take_write(std::size_t replica, const TokenParts& parts, const std::optional<Error>& error) {
  BatchSlot& slot = slots_[parts.slot];
  HF_ASSERT(slot.state == BatchSlot::State::kIssued && slot.header.lsn.value == parts.number);
  HF_ASSERT((slot.writing & (1U << replica)) != 0);
  slot.writing &= ~(1U << replica);
  replicas_[replica].answered();
  if (error && !HF_MUTANT(kFailedWriteCounts)) {
    fail_replica(replica, LocationState::kFailed, error->message);
    return;
  }
  if (!replicas_[replica].active()) return;
  replicas_[replica].stored(slot.header.lsn);
  drain_queue(replica);
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
    stored_clock_ = std::max(stored_clock_, slots_.clock_ceiling_at(durable_).value_or(0));
  }
  slots_.release_up_to(durable_);
  return moved;
}

void WriteAheadLog::write(std::size_t replica, std::uint8_t slot_index) {
  BatchSlot& slot = slots_[slot_index];
  slot.writing |= 1U << replica;
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
    slot.queued &= ~(1U << replica);
    write(replica, index);
  }
}

// Ceilings, durable LSN and predecessor are those of the moment of issue.
void WriteAheadLog::issue(std::uint8_t slot_index) {
  BatchSlot& slot = slots_[slot_index];
  BatchHeader& header = slot.header;
  HF_ASSERT(header.lsn == last_issued_ + 1);
  if (pacer_.complete() && header.lsn >= pacer_.complete()->end_lsn) checkpoint_ = pacer_.complete()->begin;
  header.durable = durable_;
  header.clock_ceiling = wanted_clock_;
  header.next_stream = next_stream_;
  header.predecessor = last_mac_;
  header.checkpoint = checkpoint_;
  last_mac_ = header.mac = encode_batch_header(header, key_, slot.buffer.data());
  last_issued_ = header.lsn;
  slot.state = BatchSlot::State::kIssued;
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    if (!replica.active()) continue;
    if (replica.queue().empty() && replica.may_submit(header)) {
      write(i, slot_index);
    } else {
      slot.queued |= 1U << i;
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

bool WriteAheadLog::pump(bool flush) {
  take_completions();
  const bool moved = update_durable();
  drive_checkpoint();
  open_what_is_wanted();
  while (!quorum_lost()) {
    IssueState state;
    state.in_flight = static_cast<unsigned>(last_issued_.value - durable_.value);
    state.max_in_flight = options_.max_in_flight;
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
  if (pacer_.due() && unreserved() > 0) {
    RecordHeader begin;
    begin.type = RecordType::kCheckpointBegin;
    const Lsn lsn = append(begin, {});
    if (lsn == Lsn{}) return;
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
  if (lsn != Lsn{}) pacer_.ended(lsn);
}

// What is reserved lies ahead of what is kept ready for whoever comes next: else some thousand windows that nobody
// fills would leave none for the others.
unsigned WriteAheadLog::segments_ahead() const {
  const std::uint64_t payload = SegmentCursor::payload_per_segment(key_.segment_size);
  const std::uint64_t reserved = (reserved_ + reserved_ / kKeptPart + payload - 1) / payload;
  return options_.prepared_segments + static_cast<unsigned>(std::min(reserved, kMostReserved));
}

void WriteAheadLog::look_after_segments() {
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = replicas_[i];
    if (!replica.active()) continue;
    replica.prepare_ahead(cursor_.segment(), segments_ahead(), key_.segment_size, options_.max_bytes);
    while (const auto footer = footers_.next(static_cast<unsigned>(i), replica.prefix())) {
      replica.location()->write(make_token({Operation::kFooter, footer->segment.value, 0}), footer->segment,
                                footer->offset, footer->bytes);
    }
    store_progress(i);
  }
}

// Rarely: so that the next recovery need not look at every segment's footer.
void WriteAheadLog::store_progress(std::size_t i) {
  Replica& replica = replicas_[i];
  const Lsn held = std::min(replica.prefix(), durable_);
  const bool first = progress_at_[i] == SegmentNumber{};
  // The call blocks: the first time, right after a start, it waits for an idle moment or for a segment to be full.
  const bool at_ease = !has_unissued() && last_issued_ == durable_;
  const bool due =
      first ? at_ease || cursor_.segment() > epoch_segment_ : cursor_.segment() >= progress_at_[i] + kProgressEvery;
  if (!due || held < epoch_start_) return;
  progress_at_[i] = cursor_.segment();
  const auto stored = replica.location()->write_blob(kProgressBlob, encode(Progress{key_.id, held}));
  if (!stored) fail_replica(i, LocationState::kFailed, stored.error().message);
}

// ---- Space ----

// For payload, in segments beyond the current one that are ready on W locations.
std::uint64_t WriteAheadLog::ready_room() const {
  std::array<std::uint64_t, kMaxReplicas> ready{};
  std::size_t count = 0;
  for (const Replica& replica : replicas_) {
    if (replica.active()) ready[count++] = replica.ready_through().value;
  }
  if (count < identity_.stored_on) return 0;
  std::sort(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>{});
  const std::uint64_t through = ready[identity_.stored_on - 1];
  if (through < cursor_.segment().value) return 0;
  return (through - cursor_.segment().value) * SegmentCursor::payload_per_segment(key_.segment_size);
}

// What is left of it beside what is reserved, a batch and `kept`: connection records, checkpoints and small records
// live on these.
std::uint64_t WriteAheadLog::room_beside(std::uint64_t kept) const {
  const std::uint64_t room = ready_room();
  const std::uint64_t taken = kept + options_.batch_size + room / kKeptPart + reserved_;
  return room <= taken ? 0 : room - taken;
}

std::uint64_t WriteAheadLog::unreserved() const {
  return room_beside(SegmentCursor::payload_per_segment(key_.segment_size));
}

// The segment that the predecessor kept is the one that this epoch has begun.
std::uint64_t WriteAheadLog::inheritable() const {
  return cursor_.segment() == epoch_segment_ ? room_beside(0) : unreserved();
}

void WriteAheadLog::reserve(std::uint64_t bytes) { reserved_ += bytes; }

void WriteAheadLog::unreserve(std::uint64_t bytes) {
  HF_ASSERT(bytes <= reserved_);
  reserved_ -= bytes;
}

void WriteAheadLog::retry_space() {
  for (Replica& replica : replicas_) replica.retry_space();
}

bool WriteAheadLog::full() const {
  return std::ranges::any_of(replicas_, [](const Replica& r) { return r.active() && r.full(); });
}

void WriteAheadLog::promise_clock(std::uint64_t ceiling) { wanted_clock_ = std::max(wanted_clock_, ceiling); }

std::vector<LocationStatus> WriteAheadLog::locations() const {
  std::vector<LocationStatus> all;
  for (const Replica& replica : replicas_) all.push_back(replica.status());
  return all;
}

// ---- Reading back ----

Result<void> WriteAheadLog::read(const Extent& extent, std::uint64_t from_offset, MutableBytes into) {
  const std::uint64_t end = extent.offset + extent.length;
  if (from_offset < extent.offset || from_offset > end || into.size() > end - from_offset) {
    return fail(Error::Kind::kUsage, "the range lies outside the extent");
  }
  std::string problems;
  for (const Replica& replica : replicas_) {
    if (!replica.active()) continue;
    const auto done = read_from(*replica.location(), extent, from_offset, into);
    if (done) return {};
    problems += fmt::format("{}{}", problems.empty() ? "" : "; ", done.error().message);
  }
  return fail(Error::Kind::kCorrupt, fmt::format("bytes [{}, {}) in segment {} at {} cannot be read: {}", from_offset,
                                                 from_offset + into.size(), extent.segment.value, extent.position,
                                                 problems.empty() ? "no location is active" : problems));
}

Result<void> WriteAheadLog::read_from(location::Location& location, const Extent& extent, std::uint64_t from_offset,
                                      MutableBytes into) {
  const BatchSlot* in_memory = slots_.holding(extent.segment, extent.position);
  std::size_t in_memory_size = in_memory == nullptr ? 0 : in_memory->header.size();
  if (builder_.active() && slots_[open_slot_].header.at.segment == extent.segment &&
      slots_[open_slot_].header.at.offset <= extent.position) {
    in_memory = &slots_[open_slot_];
    in_memory_size = builder_.used();
  }
  std::array<std::byte, kRecordHeaderSize> header_bytes;
  const auto fetch = [&](std::uint64_t at, MutableBytes out) -> Result<void> {
    if (in_memory == nullptr) return location.read(extent.segment, at, out);
    const std::uint64_t from = at - in_memory->header.at.offset;
    if (from + out.size() > in_memory_size) return fail(Error::Kind::kUsage, "not a record's position");
    std::copy_n(in_memory->buffer.data() + from, out.size(), out.begin());
    return {};
  };
  const auto bad = [&](const char* what) {
    return fail(Error::Kind::kCorrupt, fmt::format("{}: {}", location.name(), what));
  };
  if (auto done = fetch(extent.position, header_bytes); !done) return done;
  const auto header = decode_record_header(header_bytes.data());
  if (!header || header->type != extent.type) return bad("no such record there");
  const Extent whole = extent_of(*header, extent.segment, extent.position);
  if (whole.offset > extent.offset || whole.offset + whole.length < extent.offset + extent.length) {
    return bad("the record there has another range");
  }
  const MutableBytes payload(scratch_.data(), header->length);
  if (auto done = fetch(std::uint64_t{extent.position} + kRecordHeaderSize, payload); !done) return done;
  if (!payload_matches(*header, payload)) return bad("the payload's checksum does not match");
  std::ranges::copy(data_of(*header, payload).subspan(from_offset - whole.offset, into.size()), into.begin());
  return {};
}

}  // namespace holdfast::log
