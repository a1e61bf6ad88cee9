#include "location/rados/memory_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace holdfast::location::rados {
namespace {

constexpr std::int64_t kMillion = 1'000'000;
constexpr unsigned kMostIdleWaits = 100'000;  // a loop that waits for what has happened already

std::string address_of(std::uint64_t client) { return fmt::format("memory-client-{}", client); }

bool adds(const ObjectWrite& write) {
  return write.existence == ObjectWrite::Existence::kNew || !write.entries.empty() || !write.data.empty() || write.size;
}

}  // namespace

// ---- The cluster ----

bool MemoryCluster::step(Time until) {
  if (next() > until || events_.empty()) {
    if (until != kNever) now_ = std::max(now_, until);
    return false;
  }
  const auto event = events_.extract(events_.begin());
  now_ = std::max(now_, event.key().first);
  event.mapped()();
  return true;
}

void MemoryCluster::plan(Time at, std::function<void()> happen) {
  events_.emplace(std::pair(at, ++last_event_), std::move(happen));
}

void MemoryCluster::kill(std::uint64_t client) {
  if (const auto found = clients_.find(client); found != clients_.end()) found->second->die();
}

void MemoryCluster::shut_out(std::uint64_t client) { blocklist_.insert(address_of(client)); }

// The map with the entry reaches what executes the operations later: it is no fence.
void MemoryCluster::shut_out(const std::string& address) {
  plan(now_ + blocklist_lag, [this, address] { blocklist_.insert(address); });
}

void MemoryCluster::submit(std::uint64_t client, std::uint64_t tag, const ObjectWrite* write, const ObjectRead* read) {
  const auto operation = std::make_shared<Operation>();
  operation->number = ++last_operation_;
  operation->client = client;
  clients_.at(client)->unanswered_[operation->number] = tag;
  operation->tag = tag;
  operation->submitted = now_;
  const Journey journey = decide ? decide({client, now_, write, read}) : Journey{};
  operation->back = journey.back;
  if (write != nullptr) {
    operation->write = *write;
    operation->data.assign(write->data.begin(), write->data.end());
    operation->write->data = operation->data;
  } else {
    operation->read = *read;
  }
  if (!journey.lost) {
    Time& last = last_executed_[{client, write != nullptr ? write->object : read->object}];
    last = std::max(last, now_ + journey.there);
    plan(last, [this, operation] { execute(*operation); });
  }
  plan(now_ + bound, [this, client, tag, number = operation->number] {
    Finished finished;
    finished.tag = tag;
    finished.outcome = Outcome::kUnknown;
    answer(client, number, std::move(finished));
  });
}

void MemoryCluster::execute(const Operation& operation) {
  Finished finished;
  finished.tag = operation.tag;
  if (blocklist_.contains(address_of(operation.client))) {
    finished.outcome = Outcome::kShutOut;
  } else {
    apply(operation, finished);
  }
  if (executed) {
    executed({operation.client, operation.submitted, operation.write ? &*operation.write : nullptr,
              operation.read ? &*operation.read : nullptr},
             finished.outcome);
  }
  plan(now_ + operation.back, [this, client = operation.client, number = operation.number,
                               finished = std::move(finished)] { answer(client, number, finished); });
}

// Nobody may be there to take it, or it has been told kUnknown.
void MemoryCluster::answer(std::uint64_t client, std::uint64_t operation, Finished finished) {
  const auto found = clients_.find(client);
  if (found == clients_.end() || found->second->unanswered_.erase(operation) == 0) return;
  found->second->finished_.push_back(std::move(finished));
}

std::map<std::string, std::string> MemoryCluster::notify(const std::string& object) {
  std::map<std::string, std::string> lookers;
  for (const auto& [watched, as] : watchers_) {
    const auto found = clients_.find(watched.second);
    if (watched.first != object || found == clients_.end() || found->second->dead_) continue;
    found->second->notified_ = found->second->woken_ = true;
    lookers[address_of(watched.second)] = as;
  }
  return lookers;
}

void MemoryCluster::apply(const Operation& operation, Finished& finished) {
  if (operation.write) {
    finished.outcome = apply_write(*operation.write);
    return;
  }
  const ObjectRead& read = *operation.read;
  const auto found = objects.find(read.object);
  if (found == objects.end()) {
    finished.outcome = Outcome::kAbsent;
    return;
  }
  const MemoryObject& object = found->second;
  if (read.attributes) finished.attributes = object.attributes;
  if (read.entries) finished.entries = object.entries;
  const std::size_t begin = std::min<std::size_t>(read.offset, object.data.size());
  const std::size_t length = std::min(read.length, object.data.size() - begin);
  const auto from = object.data.begin() + static_cast<std::ptrdiff_t>(begin);
  finished.data.assign(from, from + static_cast<std::ptrdiff_t>(length));
}

Outcome MemoryCluster::apply_write(const ObjectWrite& write) {
  const auto found = objects.find(write.object);
  const bool anew = write.existence == ObjectWrite::Existence::kNew;
  if (anew && found != objects.end()) return Outcome::kExists;
  if (!anew && found == objects.end()) return Outcome::kAbsent;
  if (!anew) {
    const auto attribute = found->second.attributes.find(kAttributeEpoch);
    for (const auto& [name, value] : write.unchanged) {
      const auto now = found->second.attributes.find(name);
      if (now == found->second.attributes.end() || now->second != value) return Outcome::kGuard;
    }
    const std::string epoch = attribute == found->second.attributes.end() ? "" : attribute->second;
    if (write.epoch && epoch != encode_epoch(*write.epoch)) return Outcome::kGuard;
    if (write.epoch_at_most && epoch > encode_epoch(*write.epoch_at_most)) return Outcome::kGuard;
  } else if (write.epoch || !write.unchanged.empty()) {
    return Outcome::kGuard;
  }
  if (write.remove) {
    if (!anew) objects.erase(found);
    return Outcome::kDone;
  }
  if (full && adds(write)) return Outcome::kFull;
  MemoryObject& object = objects[write.object];
  for (const auto& [name, value] : write.attributes) object.attributes[name] = value;
  for (const auto& [key, value] : write.entries) object.entries[key] = value;
  for (const std::string& key : write.dropped_entries) object.entries.erase(key);
  if (write.clear) object.data.clear();
  if (write.size) object.data.resize(*write.size);
  if (!write.data.empty()) {
    object.data.resize(std::max<std::size_t>(object.data.size(), write.offset + write.data.size()));
    std::ranges::copy(write.data, object.data.begin() + static_cast<std::ptrdiff_t>(write.offset));
  }
  return Outcome::kDone;
}

// ---- A client ----

Time MemoryClock::at(Time cluster) const {
  __extension__ using Wide = __int128;
  const auto elapsed = Wide{cluster.time_since_epoch().count()};
  return cluster + offset + Duration(static_cast<std::int64_t>(elapsed * drift / kMillion));
}

Time MemoryClock::when(Time local) const {
  if (local == kNever) return kNever;
  __extension__ using Wide = __int128;
  const auto shown = Wide{(local - offset).time_since_epoch().count()};
  Time cluster{Duration(static_cast<std::int64_t>(shown * kMillion / (kMillion + drift)))};
  while (at(cluster) < local) cluster += Duration(1);  // what rounding has cost
  return cluster;
}

MemoryStore::MemoryStore(std::shared_ptr<MemoryCluster> cluster, MemoryClock clock, PassTime pass_time)
    : cluster_(std::move(cluster)), client_(++cluster_->last_client_), clock_(clock), pass_time_(std::move(pass_time)) {
  cluster_->clients_[client_] = this;
}

MemoryStore::~MemoryStore() {
  cluster_->clients_.erase(client_);
  std::erase_if(cluster_->watchers_, [this](const auto& watcher) { return watcher.first.second == client_; });
}

void MemoryStore::submit(std::uint64_t tag, const ObjectWrite& write) { submit(tag, &write, nullptr); }
void MemoryStore::submit(std::uint64_t tag, const ObjectRead& read) { submit(tag, nullptr, &read); }

void MemoryStore::submit(std::uint64_t tag, const ObjectWrite* write, const ObjectRead* read) {
  if (!dead_) return cluster_->submit(client_, tag, write, read);
  shut_out_.push_back(tag);
}

std::vector<Finished> MemoryStore::take() {
  for (const std::uint64_t tag : std::exchange(shut_out_, {})) {
    finished_.emplace_back();
    finished_.back().tag = tag;
    finished_.back().outcome = Outcome::kShutOut;
  }
  if (!finished_.empty()) idle_waits_ = 0;
  return std::exchange(finished_, {});
}

void MemoryStore::wait(Time until) {
  HF_ASSERT(++idle_waits_ < kMostIdleWaits);
  if (dead_) {
    if (until != kNever) dead_now_ = std::max(dead_now_, until);
    return;
  }
  if (ready() || until <= now()) {
    woken_ = false;
    return;
  }
  const Time before = cluster_->now();
  if (pass_time_) {
    pass_time_(clock_.when(until));
  } else {
    const bool happened = cluster_->step(clock_.when(until));
    HF_ASSERT(happened || until != kNever);  // nothing will ever happen
  }
  if (cluster_->now() != before) idle_waits_ = 0;
}

Time MemoryStore::now() const { return dead_ ? dead_now_ : clock_.at(cluster_->now()); }

std::string MemoryStore::client_address() const { return address_of(client_); }

void MemoryStore::notify(const std::string& object) {
  if (dead_) return;
  cluster_->plan(cluster_->now() + Journey{}.there,
                 [cluster = cluster_.get(), object] { (void)cluster->notify(object); });
}

void MemoryStore::ask_lookers(std::uint64_t tag, const std::string& object) {
  if (dead_) return shut_out_.push_back(tag);
  const std::uint64_t operation = ++cluster_->last_operation_;
  unanswered_[operation] = tag;
  cluster_->plan(cluster_->now() + Journey{}.there + Journey{}.back,
                 [cluster = cluster_.get(), client = client_, tag, operation, object] {
                   Finished finished;
                   finished.tag = tag;
                   finished.attributes = cluster->notify(object);
                   cluster->answer(client, operation, std::move(finished));
                 });
}

void MemoryStore::die() {
  dead_now_ = now();
  dead_ = true;
  for (const auto& [operation, tag] : std::exchange(unanswered_, {})) shut_out_.push_back(tag);
}

}  // namespace holdfast::location::rados
