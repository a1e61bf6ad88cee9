// A world of nodes that want the same log, from one seed: nodes pause, die and start again, their clocks differ, what
// is sent to the cluster arrives late, long after, or never, and so do the answers.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "location/pool_node.h"

namespace holdfast::location::rados::test {

struct PoolWorldResult {
  std::string failure;  // empty: everything held
  std::uint64_t acknowledged = 0, owners = 0, kills = 0, pauses = 0, unknown = 0, landed_late = 0;
};

class PoolWorld {
 public:
  explicit PoolWorld(std::uint64_t seed)
      : random_(seed),
        lease_(std::chrono::milliseconds(std::array{100, 200, 400, 1000}[random_.below(4)])),
        cluster_(std::make_shared<MemoryCluster>()),
        oracle_(*cluster_, lease_) {
    typical_ = std::chrono::microseconds(std::array{200, 1000, 5000}[random_.below(3)]);
    cluster_->bound = lease_ * std::array{1, 2, 5}[random_.below(3)];
    cluster_->blocklist_lag = random_.below(lease_);
    lost_in_ = std::array{0, 20, 60, 300}[random_.below(4)];
    slow_in_ = std::array{0, 10, 40, 200}[random_.below(4)];
    taking_slow_in_ = std::array{0, 2, 10}[random_.below(3)];
    making_slow_in_ = std::array{0, 2, 10}[random_.below(3)];
    footers_slow_in_ = std::array{0, 2, 10}[random_.below(3)];
    cluster_->decide = [this](const MemoryOperation& operation) { return decide(operation); };
    cluster_->executed = [this](const MemoryOperation& operation, Outcome outcome) {
      if (cluster_->now() - operation.submitted > cluster_->bound) ++result_.landed_late;
      if (trace) show(operation, outcome);
      oracle_.executed(operation, outcome);
    };
    const std::uint64_t count = 2 + random_.below(2);
    for (std::uint64_t i = 0; i < count; ++i) {
      NodeOptions options;
      options.identity = std::string(1, static_cast<char>('a' + i));
      options.lease = lease_;
      options.clock = {random_.below(std::chrono::seconds(1000)),
                       static_cast<std::int64_t>(random_.below(60001)) - 30000};
      options.think = lease_ / static_cast<std::int64_t>(std::array{2, 10, 40}[random_.below(3)]);
      options.in_flight = static_cast<unsigned>(std::array{1, 2, 4}[random_.below(3)]);
      options.patience = cluster_->bound * std::array{1, 3, 100}[random_.below(3)] / 2;
      options.releases = static_cast<unsigned>(std::array{0, 0, 40, 150}[random_.below(4)]);
      options.removes = static_cast<unsigned>(std::array{0, 10, 30}[random_.below(3)]);
      options.footers = static_cast<unsigned>(std::array{0, 3, 10}[random_.below(3)]);
      nodes_.push_back(std::make_unique<Node>(cluster_, oracle_, options, random_.next()));
    }
  }
  ~PoolWorld() {
    for (const auto& node : nodes_) node->kill();
  }

  bool trace = false;  // shows what the cluster executes

  PoolWorldResult run() {
    for (const auto& node : nodes_) node->start(++lives_);
    const Time end = Time{} + 25 * lease_;
    while (cluster_->now() < end && oracle_.failure().empty()) {
      disturb();
      run_until(std::min(end, cluster_->now() + random_.below(lease_)));
    }
    calm_down();
    result_.failure = oracle_.failure();
    result_.acknowledged = oracle_.acknowledged();
    result_.owners = oracle_.owners();
    return result_;
  }

 private:
  Journey decide(const MemoryOperation& operation) {
    Journey journey{typical_ / 2 + random_.below(typical_), typical_ / 2 + random_.below(typical_), false};
    if (calm_) return journey;
    if (cluster_->now() < outage_until_) {
      if (random_.one_in(2)) {
        journey.lost = true;
      } else {
        journey.there += outage_until_ - cluster_->now() + random_.below(lease_);
      }
    }
    if (random_.one_in(lost_in_)) journey.lost = true;
    if (random_.one_in(slow_in_)) {
      (random_.one_in(2) ? journey.there : journey.back) += random_.below(6 * lease_);
    }
    const bool making = operation.write != nullptr && (operation.write->size || operation.write->remove);
    if (making && making_slow_in_ != 0 && (operation.write->clear || random_.one_in(making_slow_in_))) {
      (random_.one_in(2) ? journey.there : journey.back) += random_.below(6 * lease_);
    }
    const bool footer =
        operation.write != nullptr && !operation.write->data.empty() && operation.write->offset == kFooterAt;
    if (footer && random_.one_in(footers_slow_in_)) journey.there += random_.below(6 * lease_);
    const bool taking = operation.write != nullptr && operation.write->attributes.size() >= 2;
    if (taking && random_.one_in(taking_slow_in_)) journey.there += random_.below(3 * lease_);
    const bool renewal = operation.write != nullptr && operation.write->attributes.size() == 1 &&
                         operation.write->attributes[0].first == kAttributeOwner;
    if (renewal && cluster_->now() < no_renewals_until_) journey.lost = true;
    if (journey.lost || journey.there + journey.back >= cluster_->bound) ++result_.unknown;
    return journey;
  }

  void show(const MemoryOperation& operation, Outcome outcome) const {
    const ObjectWrite* const write = operation.write;
    std::string what = write == nullptr ? "read " + operation.read->object : "write " + write->object;
    if (write != nullptr) {
      if (write->existence == ObjectWrite::Existence::kNew) what += " new";
      if (write->epoch) what += fmt::format(" if epoch is {}", *write->epoch);
      if (write->epoch_at_most) what += fmt::format(" if epoch is at most {}", *write->epoch_at_most);
      for (const auto& [name, value] : write->attributes) {
        what += " " + name + (name == kAttributeEpoch ? "=" + value.substr(16) : "");
      }
      for (const auto& [name, value] : write->entries) {
        what += fmt::format(" {}={}", name, static_cast<int>(value.empty() ? std::byte{} : value[0]));
      }
      for (const auto& name : write->dropped_entries) what += " drops " + name;
      if (write->remove) what += " remove";
      if (const auto block = header_of(write->data)) {
        what += fmt::format(" position {}, number {} of epoch {}", block->position, block->sequence, block->epoch);
      }
    }
    fmt::print("{:9.3f} client {} (asked {:9.3f}): {}: {}\n", milliseconds(cluster_->now()), operation.client,
               milliseconds(operation.submitted), what, static_cast<int>(outcome));
  }
  static double milliseconds(Time time) { return static_cast<double>(time.time_since_epoch().count()) / 1e6; }

  void disturb() {
    Node& node = *nodes_[random_.below(nodes_.size())];
    const Time now = cluster_->now();
    switch (random_.below(8)) {
      case 0:
      case 1:
        node.kill();
        ++result_.kills;
        break;
      case 2:
      case 3:
        node.pause_until(now + random_.below(4 * lease_));
        ++result_.pauses;
        break;
      case 4:
        outage_until_ = now + random_.below(2 * lease_);
        break;
      case 5:
        no_renewals_until_ = now + random_.below(2 * lease_);
        break;
      case 6:
        cluster_->full = random_.one_in(3);
        break;
      default:
        break;
    }
    for (const auto& other : nodes_) {
      if (!other->running() && random_.one_in(2)) other->start(++lives_);
    }
  }

  void run_until(Time end) {
    while (oracle_.failure().empty()) {
      Time next = end;
      for (const auto& node : nodes_) {
        if (node->wakes_at() <= cluster_->now()) node->resume();
        next = std::min(next, node->wakes_at());
      }
      if (next <= cluster_->now() && cluster_->now() < end) continue;
      if (!cluster_->step(next) && cluster_->now() >= end) return;
    }
  }

  // Faults end: within a while some node owns the log, and everything is found.
  void calm_down() {
    calm_ = true;
    cluster_->full = false;
    for (const auto& node : nodes_) {
      node->pause_until(Time{});
      node->stay();
    }
    const std::uint64_t before = oracle_.acknowledged();
    const Time end = cluster_->now() + 8 * cluster_->bound + 30 * lease_ + 1000 * typical_;
    while (oracle_.failure().empty() && cluster_->now() < end && oracle_.acknowledged() < before + 10) {
      for (const auto& node : nodes_) {
        if (!node->running()) node->start(++lives_);
      }
      run_until(cluster_->now() + lease_);
    }
    if (oracle_.failure().empty() && oracle_.acknowledged() < before + 10) {
      std::string why;
      for (const auto& node : nodes_) why += "; " + node->problem;
      oracle_.fail("nobody goes on, though nothing is in the way" + why);
    }
  }

  Random random_;
  const Duration lease_;
  const std::shared_ptr<MemoryCluster> cluster_;
  Oracle oracle_;
  Duration typical_{};
  std::uint64_t lost_in_ = 0, slow_in_ = 0, making_slow_in_ = 0, taking_slow_in_ = 0, footers_slow_in_ = 0, lives_ = 0;
  Time outage_until_{}, no_renewals_until_{};
  bool calm_ = false;
  PoolWorldResult result_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace holdfast::location::rados::test
