#include "sim/durable_model.h"

#include <algorithm>

#include "base/assert.h"
#include "gate/connection_record.h"
#include "log/identity.h"

namespace holdfast::sim {

DurableModel::DurableModel(Context& context, StreamJudge& judge, unsigned disks, unsigned stored_on)
    : context_(context),
      judge_(judge),
      stored_on_(stored_on),
      writing_(disks),
      segment_epochs_(disks),
      prefix_(disks) {}

bool DurableModel::learn_key() {
  for (const Contents* disk : disks_) {
    if (key_) break;
    const auto* const blob = disk->blob(log::kIdentityBlob);
    if (blob == nullptr) continue;
    if (const auto identity = log::decode_identity(*blob, disk->name())) key_ = identity->key();
  }
  return key_.has_value();
}

void DurableModel::begun(unsigned disk, const location::PendingOperation& operation) {
  if (operation.kind != location::PendingOperation::Kind::kWrite) {
    if (epoch_started()) check_released(operation);
    segment_epochs_[disk].erase(operation.segment.value);
    segment_epochs_[disk].erase(operation.to.value);
    return;
  }
  if (!learn_key()) return;
  const Bytes bytes(operation.bytes);
  auto& carried = writing_[disk][operation.id];
  for (std::size_t at = 0; at + log::kBlock <= bytes.size();) {
    const log::BatchPosition place{operation.segment, static_cast<std::uint32_t>(operation.offset + at)};
    const auto header = log::decode_batch_header(bytes.subspan(at), *key_, place);
    if (!header || header->size() > bytes.size() - at) {
      at += log::kBlock;
      continue;
    }
    if (owners_) check_late(*header);
    check_segment(disk, *header);
    read_batch(*header, bytes.subspan(at, header->size()));
    carried.emplace_back(header->epoch, header->lsn.value);
    at += header->size();
  }
}

// A segment goes only once a durable checkpoint gives it up.
void DurableModel::check_released(const location::PendingOperation& operation) {
  if (operation.kind == location::PendingOperation::Kind::kPrepare) return;
  if (!segments_.contains(operation.segment.value)) return;
  context_.faults.add(Fault::kReleased);
  if (operation.segment.value < first_kept_) return;
  context_.fail("segment {} goes, durable is that segments from {} on are kept", operation.segment.value, first_kept_);
}

std::uint64_t DurableModel::newest_segments(std::uint64_t count) const {
  auto at = segments_.rbegin();
  for (; at != segments_.rend() && count > 1; ++at) --count;
  return at == segments_.rend() ? 0 : *at;
}

void DurableModel::stored(unsigned disk, std::uint64_t operation) {
  const auto found = writing_[disk].find(operation);
  if (found == writing_[disk].end()) return;
  for (const BatchKey& key : found->second) batches_[key].on |= 1U << disk;
  writing_[disk].erase(found);
  advance();
}

// A new epoch never writes where an older one has written. Copies that are made while the log is opened may: a disk
// that was away when the epoch began can have a segment of that number, and nobody else writes to it any more.
void DurableModel::check_segment(unsigned disk, const log::BatchHeader& header) {
  if (epoch_start_ == Lsn{} && batches_.contains({header.epoch, header.lsn.value})) {
    segment_epochs_[disk][header.at.segment.value] = header.epoch;
    return;
  }
  const auto [entry, fresh] = segment_epochs_[disk].try_emplace(header.at.segment.value, header.epoch);
  if (!fresh && entry->second != header.epoch) {
    context_.fail("epoch {} writes into segment {} of disk {}, which is epoch {}'s", header.epoch.counter,
                  header.at.segment.value, disk, entry->second.counter);
  }
}

// An epoch begins with its promise on so many disks that every later start, and every earlier owner, meets it.
void DurableModel::check_promise(log::Epoch epoch) {
  unsigned promised = 0;
  for (const Contents* disk : disks_) {
    const auto* const blob = disk->blob(log::kPromiseBlob);
    if (blob == nullptr) continue;
    const auto promise = log::decode_promise(*blob, disk->name());
    if (promise && promise->epoch >= epoch) ++promised;
  }
  if (promised < needed()) {
    context_.fail("epoch {} begins with its promise on {} disks, {} are needed", epoch.counter, promised, needed());
  }
}

std::optional<log::BatchPosition> DurableModel::last_on(unsigned disk) {
  const Batch* batch = batch_at(prefix_[disk]);
  if (batch == nullptr) return std::nullopt;
  return batch->at;
}

// What lay there already may be brought once more, by a write that was done again after a time-out.
void DurableModel::check_late(const log::BatchHeader& header) {
  const auto known = batches_.find({header.epoch, header.lsn.value});
  if (header.epoch >= epoch_ || (known != batches_.end() && known->second.on != 0)) return;
  context_.fail("batch {} of epoch {} lands after epoch {} has begun", header.lsn.value, header.epoch.counter,
                epoch_.counter);
}

void DurableModel::read_batch(const log::BatchHeader& header, Bytes bytes) {
  const BatchKey key{header.epoch, header.lsn.value};
  if (!batches_.contains(key)) {
    Batch batch;
    batch.at = header.at;
    batch.size = header.size();
    log::RecordWalk walk(log::body_of(header, bytes));
    while (const auto record = walk.next()) {
      if (record->header.type == log::RecordType::kEpochStart) begin_epoch(header, record->payload);
      if (record->header.type == log::RecordType::kCheckpointBegin ||
          record->header.type == log::RecordType::kCheckpointEnd) {
        Effect effect;
        effect.type = record->header.type;
        effect.begin = record->header.offset;
        batch.effects.push_back(effect);
      }
      if (auto effect = read_record(*record)) batch.effects.push_back(*effect);
    }
    if (walk.malformed()) context_.fail("batch {} is written with malformed records", header.lsn.value);
    batches_[key] = std::move(batch);
  }
  if (header.epoch == epoch_) issued_ = std::max(issued_, header.lsn);
}

std::optional<DurableModel::Effect> DurableModel::read_record(const log::Record& record) {
  const log::RecordHeader& header = record.header;
  Effect effect;
  effect.type = header.type;
  effect.stream = header.stream;
  effect.fin = (header.flags & log::kFin) != 0;
  effect.echo = (header.flags & log::kEcho) != 0;
  effect.anew = (header.flags & log::kAnew) != 0;
  if (header.type == log::RecordType::kConnection) {
    const auto decoded = gate::decode_connection_record(record.payload);
    if (!decoded) {
      context_.fail("connection record of stream {} cannot be read: {}", header.stream.value, decoded.error().message);
      return std::nullopt;
    }
    const tcp::Snapshot& s = decoded->snapshot;
    effect.connection = DurableStream{s.tuple, s.iss, s.irs, s.rcv_end.value, s.snd_end.value, s.rcv_fin, s.snd_fin};
    effect.connection->established = s.state != tcp::State::kSynSent && s.state != tcp::State::kSynReceived;
    names_.insert_or_assign(header.stream, *effect.connection);
    return effect;
  }
  if (header.type == log::RecordType::kClose) return effect;
  if (header.type != log::RecordType::kIn && header.type != log::RecordType::kOut) return std::nullopt;
  const Bytes data = log::data_of(header, record.payload);
  effect.begin = header.offset;
  effect.end = header.offset + data.size();
  const auto name = names_.find(header.stream);
  if (name == names_.end()) {
    context_.fail("bytes of stream {} are written before its connection record", header.stream.value);
    return std::nullopt;
  }
  const bool inbound = header.type == log::RecordType::kIn;
  judge_.judge_stored(name->second, inbound, header.offset, data, effect.fin);
  if (effect.echo) judge_.judge_stored(name->second, false, header.offset, data, effect.fin);
  return effect;
}

void DurableModel::begin_epoch(const log::BatchHeader& header, Bytes epoch_start) {
  const auto start = log::decode_epoch_start(epoch_start);
  if (!start) return context_.fail("epoch-start record that cannot be read");
  if (epochs_.contains(header.epoch)) return;
  epochs_[header.epoch] = {start->previous, start->end_lsn};
  if (header.epoch < epoch_) {
    return context_.fail("epoch {} begins after epoch {}", header.epoch.counter, epoch_.counter);
  }
  check_promise(header.epoch);
  context_.note("epoch {} begins at batch {}; it adopts up to batch {}, durable is {}", header.epoch.counter,
                header.lsn.value, start->end_lsn.value, durable_.value);
  // Rule 1: whatever was durable may have been asserted to a peer.
  if (start->end_lsn < durable_) {
    return context_.fail("recovery adopted the log up to batch {}, but it was durable up to batch {}",
                         start->end_lsn.value, durable_.value);
  }
  // And what was durable must lie in the chain that is adopted.
  const Lsn before = durable_;
  const log::Epoch old_epoch = before == Lsn{} ? log::Epoch{} : epoch_of(before);
  if (owners_) ended_[epoch_] = streams_;
  judge_.epoch_begins();
  epoch_ = header.epoch;
  epoch_start_ = header.lsn;
  issued_ = header.lsn;
  if (before != Lsn{} && epoch_of(before) != old_epoch) {
    return context_.fail("recovery adopted another chain (epoch {}) than the durable one (epoch {}) at batch {}",
                         epoch_of(before).counter, old_epoch.counter, before.value);
  }
  // A disk keeps what it had of the chain up to where the chains part.
  for (unsigned disk = 0; disk < prefix_.size(); ++disk) {
    Lsn& prefix = prefix_[disk];
    while (prefix > Lsn{}) {
      const auto* batch = batch_at(prefix);
      if (batch != nullptr && (batch->on & (1U << disk)) != 0) break;
      prefix = Lsn{prefix.value - 1};
    }
  }
  look_at_disks(start->end_lsn);
  advance();
}

// A torn write may have stored all that matters of a batch: what was adopted is looked for where it lies.
void DurableModel::look_at_disks(Lsn adopted_end) {
  for (unsigned disk = 0; disk < prefix_.size(); ++disk) {
    for (Lsn lsn = prefix_[disk] + 1; lsn <= adopted_end; lsn = lsn + 1) {
      Batch* batch = batch_at(lsn);
      if (batch == nullptr) return context_.fail("recovery adopted batch {}, which nobody wrote", lsn.value);
      if (is_on_disk(*disks_[disk], *batch, lsn)) batch->on |= 1U << disk;
    }
  }
}

bool DurableModel::is_on_disk(const Contents& disk, const Batch& batch, Lsn lsn) const {
  std::vector<std::byte> bytes(batch.size);
  if (!disk.read(batch.at.segment, batch.at.offset, bytes)) return false;
  const auto header = log::decode_batch_header(bytes, *key_, batch.at);
  return header && header->lsn == lsn && header->epoch == epoch_of(lsn) && header->size() == batch.size &&
         log::check_body(*header, *key_, bytes, log::PayloadCheck::kVerify);
}

log::Epoch DurableModel::epoch_of(Lsn lsn) const {
  log::Epoch epoch = epoch_;
  for (auto info = epochs_.find(epoch); info != epochs_.end() && lsn <= info->second.end_of_previous;
       info = epochs_.find(epoch)) {
    epoch = info->second.previous;
  }
  return epoch;
}

DurableModel::Batch* DurableModel::batch_at(Lsn lsn) {
  const auto found = batches_.find({epoch_of(lsn), lsn.value});
  return found == batches_.end() ? nullptr : &found->second;
}

void DurableModel::advance() {
  for (unsigned disk = 0; disk < prefix_.size(); ++disk) {
    for (;;) {
      const Batch* next = batch_at(prefix_[disk] + 1);
      if (next == nullptr) break;
      // A disk that was away when a segment was released need not get it.
      if ((next->on & (1U << disk)) == 0 && next->at.segment.value >= first_kept_) break;
      prefix_[disk] = prefix_[disk] + 1;
    }
  }
  std::vector<Lsn> sorted = prefix_;
  std::ranges::sort(sorted, std::greater{});
  const Lsn durable = sorted[stored_on_ - 1];
  while (durable_ < durable) {
    durable_ = durable_ + 1;
    Batch& batch = *batch_at(durable_);
    segments_.insert(batch.at.segment.value);
    for (Effect& effect : batch.effects) {
      effect.segment = batch.at.segment.value;
      apply(effect);
    }
  }
}

void DurableModel::apply(const Effect& effect) {
  if (effect.type == log::RecordType::kCheckpointBegin) {
    mark_begun_ = effect.begin;
    return;
  }
  if (effect.type == log::RecordType::kCheckpointEnd) {
    first_kept_ = std::max(first_kept_, mark_begun_);
    return;
  }
  if (effect.connection) return apply_connection(effect.stream, *effect.connection);
  const auto found = streams_.find(effect.stream);
  if (found == streams_.end()) {
    return context_.fail("a record of stream {} is durable, its connection record is not", effect.stream.value);
  }
  if (effect.type == log::RecordType::kClose) {
    found->second.closed = true;
  } else if (effect.type == log::RecordType::kIn) {
    apply_in(found->second, effect);
    if (effect.echo) apply_out(found->second, effect);
  } else {
    apply_out(found->second, effect);
  }
}

void DurableModel::apply_connection(StreamId id, const DurableStream& connection) {
  const auto [found, fresh] = streams_.try_emplace(id, connection);
  DurableStream& stream = found->second;
  if (!fresh && (stream.tuple != connection.tuple || stream.iss != connection.iss)) {
    return context_.fail("stream id {} is used again, for {}: it was {}", id.value, connection.tuple.to_string(),
                         stream.tuple.to_string());
  }
  if (!fresh && (stream.in_end != connection.in_end || stream.out_end != connection.out_end ||
                 stream.in_fin != connection.in_fin || stream.out_fin != connection.out_fin)) {
    context_.fail("connection record of stream {} says in {}{} out {}{}, the log holds in {}{} out {}{}", id.value,
                  connection.in_end, connection.in_fin ? "F" : "", connection.out_end, connection.out_fin ? "F" : "",
                  stream.in_end, stream.in_fin ? "F" : "", stream.out_end, stream.out_fin ? "F" : "");
  }
  if (stream.closed) context_.fail("connection record of stream {} after its close record", id.value);
  if (fresh || stream.irs != connection.irs) stream.recorded = durable_;
  if (connection.established && stream.established_at == Lsn{}) stream.established_at = durable_;
  stream.established |= connection.established;
  stream.irs = connection.irs;
}

void DurableModel::apply_in(DurableStream& stream, const Effect& effect) {
  if (effect.begin != stream.in_end || stream.in_fin) {
    context_.fail("inbound bytes from {} on are stored where the stream {} goes on at {}{}", effect.begin,
                  stream.tuple.to_string(), stream.in_end, stream.in_fin ? ", ended" : "");
  }
  stream.established = true;
  stream.in_parts.try_emplace(effect.segment, effect.begin);
  if (effect.fin) stream.in_fin_segment = effect.segment;
  stream.in_end = std::max(stream.in_end, effect.end);
  stream.in_fin |= effect.fin;
}

void DurableModel::apply_out(DurableStream& stream, const Effect& effect) {
  if (effect.begin != stream.out_end || stream.out_fin) {
    // Written anew, so that older segments can be released.
    if (effect.anew && !effect.fin && effect.begin < effect.end && effect.end <= stream.out_end) return;
    context_.fail("outbound bytes from {} on are stored where the stream {} goes on at {}{}", effect.begin,
                  stream.tuple.to_string(), stream.out_end, stream.out_fin ? ", ended" : "");
  }
  stream.out_parts.try_emplace(effect.segment, effect.begin);
  if (effect.fin) stream.out_fin_segment = effect.segment;
  stream.out_end = std::max(stream.out_end, effect.end);
  stream.out_fin |= effect.fin;
}

const DurableStream* DurableModel::find(const wire::FourTuple& tuple, wire::SeqNum iss) const {
  return newest(streams_, tuple, iss);
}

const DurableStream* DurableModel::ended(log::Epoch epoch, const wire::FourTuple& tuple, wire::SeqNum iss) const {
  const auto found = ended_.find(epoch);
  return found == ended_.end() ? nullptr : newest(found->second, tuple, iss);
}

const DurableStream* DurableModel::newest(const Streams& streams, const wire::FourTuple& tuple, wire::SeqNum iss) {
  // Ids only grow.
  for (auto at = streams.rbegin(); at != streams.rend(); ++at) {
    if (at->second.tuple == tuple && at->second.iss == iss) return &at->second;
  }
  return nullptr;
}

}  // namespace holdfast::sim
