// A RADOS cluster in memory for tests and simulations: its objects, the operations that are on their way to it, and its
// faults. `MemoryStore` is a client's connection, one per process life; an operation outlives it.
//
// Nothing here is random: whoever drives it decides each operation's journey (`decide`), so that a seed replays. An
// operation is executed at one moment, never before an earlier one of its client on its object; its answer comes later,
// in any order. Where it does not come within `bound`, the client is told kUnknown, whatever becomes of the operation.
//
// Threads: one. Ownership: std::shared_ptr, held by the driver and by the clients.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "location/rados/object_store.h"

namespace holdfast::location::rados {

class MemoryStore;

struct MemoryObject {
  std::map<std::string, std::string> attributes;
  std::map<std::string, std::vector<std::byte>> entries;
  std::vector<std::byte> data;
};

// What becomes of an operation, decided when it is submitted.
struct Journey {
  Duration there = std::chrono::microseconds(500);  // until it is executed
  Duration back = std::chrono::microseconds(500);   // from then on until it is answered
  bool lost = false;                                // never executed, never answered
};

// For those who decide or look on. One of both is not null.
struct MemoryOperation {
  std::uint64_t client = 0;
  Time submitted{};
  const ObjectWrite* write = nullptr;
  const ObjectRead* read = nullptr;
};

class MemoryCluster {
 public:
  MemoryCluster() = default;
  MemoryCluster(const MemoryCluster&) = delete;
  MemoryCluster& operator=(const MemoryCluster&) = delete;

  Duration bound = std::chrono::seconds(5);                       // after which an answer that is not there is kUnknown
  Duration blocklist_lag = std::chrono::milliseconds(100);        // from shut_out() until it has an effect
  bool full = false;                                              // for what makes objects or adds to them
  std::function<Journey(const MemoryOperation&)> decide;          // unset: Journey{}
  std::function<void(const MemoryOperation&, Outcome)> executed;  // told of each; may be unset

  Time now() const { return now_; }
  // The next thing happens, if that is by `until`; else time goes on to `until` and nothing happens: false.
  bool step(Time until);
  // When that will be; kNever where nothing is on its way.
  Time next() const { return events_.empty() ? kNever : events_.begin()->first.first; }

  // The client's process dies (kill -9). What it has submitted is on its way; the connection itself answers everything
  // with kShutOut from then on, and lets no time pass. Destroying it is left to the caller.
  void kill(std::uint64_t client);
  // From now on, and at once: as an operator does.
  void shut_out(std::uint64_t client);

  std::map<std::string, MemoryObject> objects;  // to be looked at, damaged or lost as the driver likes

 private:
  friend class MemoryStore;

  struct Operation {
    std::uint64_t number = 0, client = 0, tag = 0;
    Time submitted{};
    Duration back{};
    std::optional<ObjectWrite> write;
    std::optional<ObjectRead> read;
    std::vector<std::byte> data;  // of the write
  };
  void plan(Time at, std::function<void()> happen);
  void submit(std::uint64_t client, std::uint64_t tag, const ObjectWrite* write, const ObjectRead* read);
  void execute(const Operation& operation);
  void answer(std::uint64_t client, std::uint64_t operation, Finished finished);
  std::map<std::string, std::string> notify(const std::string& object);  // all who look at it, and live
  void apply(const Operation& operation, Finished& finished);
  Outcome apply_write(const ObjectWrite& write);
  void shut_out(const std::string& address);

  Time now_{};
  std::uint64_t last_event_ = 0, last_client_ = 0, last_operation_ = 0;
  std::map<std::pair<Time, std::uint64_t>, std::function<void()>> events_;  // those of one moment as they were planned
  std::map<std::uint64_t, MemoryStore*> clients_;                           // those that are there
  std::map<std::pair<std::uint64_t, std::string>, Time> last_executed_;     // by client and object
  std::set<std::string> blocklist_;
  std::map<std::pair<std::string, std::uint64_t>, std::string> watchers_;  // object and client: what it looks as
};

// A client's clock: where it stood when the cluster's began, and how much faster it runs.
struct MemoryClock {
  Duration offset{};
  std::int64_t drift = 0;  // parts in a million
  Time at(Time cluster) const;
  // The cluster's time when this clock shows `local`.
  Time when(Time local) const;
};

class MemoryStore final : public ObjectStore {
 public:
  // Simulated time passes inside a call that waits: returns once ready() or at this time of the cluster, or before.
  using PassTime = std::function<void(Time until)>;

  explicit MemoryStore(std::shared_ptr<MemoryCluster> cluster, MemoryClock clock = {}, PassTime pass_time = {});
  ~MemoryStore() override;
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  std::uint64_t client() const { return client_; }
  bool ready() const { return dead_ || !finished_.empty() || woken_; }
  // By the cluster's clock.
  Time wakes_at() const { return clock_.when(wake_at_); }

  void submit(std::uint64_t tag, const ObjectWrite& write) override;
  void submit(std::uint64_t tag, const ObjectRead& read) override;
  std::vector<Finished> take() override;
  void wait(Time until) override;
  Time now() const override;
  void wake_at(Time when) override { wake_at_ = when; }
  std::string client_address() const override;
  void shut_out(const std::string& client_address) override { cluster_->shut_out(client_address); }
  void notify(const std::string& object) override;
  void look_at(const std::string& object, const std::string& as) override {
    cluster_->watchers_[{object, client_}] = as;
  }
  void ask_lookers(std::uint64_t tag, const std::string& object) override;
  bool notified() override { return std::exchange(notified_, woken_ = false); }

 private:
  friend class MemoryCluster;

  void submit(std::uint64_t tag, const ObjectWrite* write, const ObjectRead* read);
  void die();

  const std::shared_ptr<MemoryCluster> cluster_;
  const std::uint64_t client_;
  const MemoryClock clock_;
  const PassTime pass_time_;
  std::map<std::uint64_t, std::uint64_t> unanswered_;  // operations, and their tags: one may come again
  std::vector<std::uint64_t> shut_out_;                // tags of what a dead one has submitted
  std::vector<Finished> finished_;
  bool notified_ = false;
  bool woken_ = false;  // by a notification: one wait() ends at it
  bool dead_ = false;
  Time dead_now_{};
  Time wake_at_ = kNever;
  unsigned idle_waits_ = 0;  // in a row, without anything that came of it
};

}  // namespace holdfast::location::rados
