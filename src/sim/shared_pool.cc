#include "sim/shared_pool.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "location/rados/head.h"
#include "location/rados/pool_reader.h"

namespace holdfast::sim {

namespace rados = location::rados;
using rados::Journey;
using rados::MemoryOperation;
using rados::ObjectWrite;
using rados::Outcome;

namespace {

bool sets(const ObjectWrite& write, const char* attribute) {
  return std::ranges::any_of(write.attributes, [&](const auto& set) { return set.first == attribute; });
}

std::optional<SegmentNumber> segment_of(const std::string& object) {
  const std::string prefix = std::string(SharedPool::kLog) + ".segment-";
  if (!object.starts_with(prefix)) return std::nullopt;
  std::uint64_t number = 0;
  std::from_chars(object.data() + prefix.size(), object.data() + object.size(), number, 16);
  return SegmentNumber{number};
}

}  // namespace

SharedPool::SharedPool(Context& context, DurableModel& model, const GroupPlan& plan, Prng prng)
    : context_(context), model_(model), plan_(plan), prng_(prng) {
  cluster_->bound = plan.pool.bound;
  cluster_->blocklist_lag = plan.pool.blocklist_lag;
  cluster_->decide = [this](const MemoryOperation& operation) { return decide(operation); };
  cluster_->executed = [this](const MemoryOperation& operation, Outcome outcome) { executed(operation, outcome); };
  model.watch({this});
  catch_up();
}

// ---- Time ----

void SharedPool::catch_up() {
  bool any = false;
  while (cluster_->step(context_.now())) any = true;
  if (any && moved) moved();
}

void SharedPool::wake() {
  const Time next = cluster_->next();
  if (next == kNever || next >= wake_) return;
  wake_ = std::max(next, context_.now());
  context_.queue.at(wake_, [this, when = wake_] {
    if (when != wake_) return;
    wake_ = kNever;
    catch_up();
    wake();
  });
}

// ---- Journeys ----

void SharedPool::note_client(std::uint64_t client, unsigned node, std::function<void()> submits) {
  clients_[client] = {node, std::move(submits)};
}

void SharedPool::cut_off(unsigned node, Time until) { cut_until_[node] = until; }

void SharedPool::calm() {
  calm_ = true;
  cut_until_.clear();
  slow_until_ = no_renewals_until_ = Time{};
}

Journey SharedPool::decide(const MemoryOperation& operation) {
  const auto way = [&] { return plan_.pool.typical / 2 + prng_.between(Duration{}, plan_.pool.typical); };
  Journey journey{way(), way(), false};
  const auto client = clients_.find(operation.client);
  if (client == clients_.end()) return journey;  // an operator's
  client->second.submits();
  if (calm_) return journey;
  if (const auto cut = cut_until_.find(client->second.node); cut != cut_until_.end() && context_.now() < cut->second) {
    context_.faults.add(Fault::kPoolCut);
    if (prng_.one_in(2)) {
      journey.lost = true;
    } else {
      journey.there += cut->second - context_.now() + prng_.between(Duration{}, plan_.lease);
    }
  }
  if (context_.now() < slow_until_ && !prng_.one_in(3)) make_slower(journey);
  if (prng_.one_in(plan_.pool.lost_in)) journey.lost = true;
  if (prng_.one_in(plan_.pool.slow_in)) make_slower(journey);
  if (operation.read != nullptr && operation.read->length > 0 && prng_.one_in(plan_.pool.reading_lost_in)) {
    journey.lost = true;
  }
  if (operation.write != nullptr) {
    const ObjectWrite& write = *operation.write;
    // Taking the log sets both, fencing a segment off its epoch.
    const bool taking = sets(write, rados::kAttributeEpoch) && write.existence == ObjectWrite::Existence::kRequired;
    if (taking && prng_.one_in(plan_.pool.taking_slow_in)) make_slower(journey);
    if (!write.data.empty() && prng_.one_in(plan_.pool.writing_slow_in)) make_slower(journey);
    const bool renewal = sets(write, rados::kAttributeOwner) && !sets(write, rados::kAttributeEpoch);
    if (renewal && context_.now() < no_renewals_until_) {
      context_.faults.add(Fault::kRenewalLost);
      journey.lost = true;
    }
  }
  if (journey.lost || journey.there + journey.back >= cluster_->bound) context_.faults.add(Fault::kUnknownOutcome);
  return journey;
}

void SharedPool::make_slower(Journey& journey) {
  context_.faults.add(Fault::kPoolSlow);
  (prng_.one_in(2) ? journey.there : journey.back) += prng_.between(Duration{}, 4 * plan_.lease);
}

// ---- What is executed ----

void SharedPool::executed(const MemoryOperation& operation, Outcome outcome) {
  context_.trace.fold(operation.client);
  if (context_.trace.printing()) show(operation, outcome);
  if (operation.write == nullptr) return;
  const ObjectWrite& write = *operation.write;
  context_.trace.fold(write.data);
  if (context_.now() - operation.submitted > cluster_->bound) context_.faults.add(Fault::kLandedLate);
  if (write.object == rados::head_object(kLog)) return executed_on_head(operation, outcome);
  const auto segment = segment_of(write.object);
  if (!segment) return;
  if (outcome == Outcome::kGuard && !write.data.empty()) {
    context_.faults.add(Fault::kFencedWrite);
    context_.note("pool: a write of client {} to segment {} meets the fence", operation.client, segment->value);
  }
  if (outcome == Outcome::kDone) executed_on_segment(*segment, write);
}

void SharedPool::show(const MemoryOperation& operation, Outcome outcome) {
  std::string what;
  if (const rados::ObjectRead* read = operation.read) {
    what = fmt::format("reads {}", read->object);
    if (read->length > 0) what += fmt::format(", {} bytes at {}", read->length, read->offset);
  } else {
    const ObjectWrite& write = *operation.write;
    what = fmt::format("{} {}",
                       write.remove                                                     ? "removes"
                       : write.existence == ObjectWrite::Existence::kNew || write.clear ? "makes"
                                                                                        : "writes",
                       write.object);
    if (write.epoch) what += fmt::format(" if epoch is {}", *write.epoch);
    if (write.epoch_at_most) what += fmt::format(" if epoch is at most {}", *write.epoch_at_most);
    for (const auto& [name, value] : write.attributes) what += " " + name;
    for (const auto& [name, value] : write.entries) {
      what += fmt::format(" {}={}", name, static_cast<int>(value.empty() ? std::byte{} : value[0]));
    }
    for (const std::string& name : write.dropped_entries) what += " drops " + name;
    if (!write.data.empty()) what += fmt::format(", {} bytes at {}", write.data.size(), write.offset);
  }
  const Duration ago = context_.now() - operation.submitted;
  context_.note("pool: client {}, {} us ago, {}: outcome {}", operation.client, ago / std::chrono::microseconds(1),
                what, static_cast<int>(outcome));
}

void SharedPool::executed_on_head(const MemoryOperation& operation, Outcome outcome) {
  const ObjectWrite& write = *operation.write;
  if (!sets(write, rados::kAttributeOwner)) return;
  const bool taking = sets(write, rados::kAttributeEpoch);
  if (outcome != Outcome::kDone) {
    if (taking) context_.faults.add(Fault::kTakeLost);
    return;
  }
  if (taking) {
    taken_[operation.client] = epoch();
    context_.note("pool: client {} takes the log, epoch {}", operation.client, epoch());
    if (epoch() > 1) context_.faults.add(Fault::kTakeover);
  }
  Time& renewed = renewed_[taken_[operation.client]];
  renewed = std::max(renewed, operation.submitted);
}

void SharedPool::executed_on_segment(SegmentNumber segment, const ObjectWrite& write) {
  location::PendingOperation operation;
  operation.segment = segment;
  if (write.remove || write.clear || write.existence == ObjectWrite::Existence::kNew) {
    using Kind = location::PendingOperation::Kind;
    operation.kind = write.remove ? Kind::kRemove : Kind::kPrepare;
    model_.begun(0, operation);
    return;
  }
  if (write.data.empty()) return;
  operation.id = ++operations_;
  operation.offset = write.offset;
  operation.size = write.data.size();
  operation.bytes.assign(write.data.begin(), write.data.end());
  model_.begun(0, operation);
  model_.stored(0, operation.id);
}

Time SharedPool::renewed(std::uint64_t epoch) const {
  const auto found = renewed_.find(epoch);
  return found == renewed_.end() ? Time{} : found->second;
}

// ---- What is there ----

std::uint64_t SharedPool::epoch() const {
  const auto head = cluster_->objects.find(rados::head_object(kLog));
  if (head == cluster_->objects.end()) return 0;
  const std::string& text = head->second.attributes.at(rados::kAttributeEpoch);
  std::uint64_t epoch = 0;
  std::from_chars(text.data(), text.data() + text.size(), epoch);
  return epoch;
}

const std::vector<std::byte>* SharedPool::blob(const std::string& blob) const {
  const auto head = cluster_->objects.find(rados::head_object(kLog));
  if (head == cluster_->objects.end()) return nullptr;
  const auto found = head->second.entries.find(rados::blob_entry(blob));
  return found == head->second.entries.end() ? nullptr : &found->second;
}

bool SharedPool::read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) const {
  const auto found = cluster_->objects.find(rados::segment_object(kLog, segment));
  if (found == cluster_->objects.end()) return false;
  const std::vector<std::byte>& data = found->second.data;
  if (offset > data.size() || data.size() - offset < into.size()) return false;
  std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
  return true;
}

std::unique_ptr<location::Location> SharedPool::snapshot() const {
  auto copy = std::make_shared<rados::MemoryCluster>();
  copy->objects = cluster_->objects;
  return rados::read_pool(name_, kLog, std::make_unique<rados::MemoryStore>(std::move(copy)));
}

}  // namespace holdfast::sim
