// The pool that the nodes of a group share: location::rados::MemoryCluster in simulated time. Gives each operation its
// journey, and tells the oracle's model what has been stored: when it is executed, whatever its sender has heard.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "location/location.h"
#include "location/rados/memory_store.h"
#include "sim/contents.h"
#include "sim/context.h"
#include "sim/durable_model.h"
#include "sim/group_plan.h"
#include "sim/prng.h"

namespace holdfast::sim {

class SharedPool final : public Contents {
 public:
  static constexpr const char* kLog = "log";

  SharedPool(Context& context, DurableModel& model, const GroupPlan& plan, Prng prng);

  location::rados::MemoryCluster& cluster() { return *cluster_; }
  std::shared_ptr<location::rados::MemoryCluster> share() const { return cluster_; }

  // Everything that is due by now happens. To be called before anybody uses it, at each moment.
  void catch_up();
  // Sees to it that what is on its way happens in time. To be called after somebody has used it.
  void wake();
  // Answers, or notifications, may have come for somebody.
  std::function<void()> moved;

  // A process of this node uses the pool as this client; `submits` is called at each operation.
  void note_client(std::uint64_t client, unsigned node, std::function<void()> submits);

  // ---- Faults ----
  void cut_off(unsigned node, Time until);
  void slow_down(Time until) { slow_until_ = until; }
  void lose_renewals(Time until) { no_renewals_until_ = until; }
  void calm();

  // When the last renewal of this owner's that has come through was begun.
  Time renewed(std::uint64_t epoch) const;
  std::uint64_t epoch() const;
  // Reads what is there at this moment; takes no time.
  std::unique_ptr<location::Location> snapshot() const;

  // ---- Contents ----
  const std::string& name() const override { return name_; }
  const std::vector<std::byte>* blob(const std::string& blob) const override;
  bool read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) const override;

 private:
  struct Client {
    unsigned node = 0;
    std::function<void()> submits;
  };

  location::rados::Journey decide(const location::rados::MemoryOperation& operation);
  void make_slower(location::rados::Journey& journey);
  void executed(const location::rados::MemoryOperation& operation, location::rados::Outcome outcome);
  void show(const location::rados::MemoryOperation& operation, location::rados::Outcome outcome);
  void executed_on_head(const location::rados::MemoryOperation& operation, location::rados::Outcome outcome);
  void executed_on_segment(SegmentNumber segment, const location::rados::ObjectWrite& write);

  Context& context_;
  DurableModel& model_;
  const GroupPlan& plan_;
  Prng prng_;
  const std::string name_ = "pool";
  std::shared_ptr<location::rados::MemoryCluster> cluster_ = std::make_shared<location::rados::MemoryCluster>();
  std::map<std::uint64_t, Client> clients_;
  std::map<std::uint64_t, std::uint64_t> taken_;  // by client: its latest epoch
  std::map<std::uint64_t, Time> renewed_;         // by epoch
  std::map<unsigned, Time> cut_until_;            // by node
  Time slow_until_{}, no_renewals_until_{};
  Time wake_ = kNever;
  std::uint64_t operations_ = 0;
  bool calm_ = false;
};

}  // namespace holdfast::sim
