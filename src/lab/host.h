// One end of the lab's wire: a stack::Engine in simulated time, on a log on simulated disks or without storage.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "lab/conditions.h"
#include "sim/context.h"
#include "sim/disk.h"
#include "sim/engine_runner.h"
#include "sim/packet.h"
#include "sim/prng.h"
#include "stack/engine.h"

namespace holdfast::lab {

inline constexpr wire::Port kServicePort{7000};

class Host {
 public:
  struct Hooks {
    // A frame leaves, inside an engine call.
    std::function<void(sim::Packet)> leaves;
    // After each call into the engine.
    std::function<void()> after_call;
  };

  // The name is the seed's part of its own as well.
  Host(sim::Context& context, const Conditions& conditions, Side side, std::uint64_t seed, Hooks hooks);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Formats the log and starts the engine, which is silent until its epoch is stored.
  Result<void> start();
  void frame(sim::Packet packet) { runner_.frame(std::move(packet)); }
  sim::EngineRunner& runner() { return runner_; }
  stack::Engine& engine() { return runner_.engine(); }
  // Nothing is on its way to its disks.
  bool idle() const;

  wire::MacAddress mac() const;
  wire::Ipv4Address address() const;

 private:
  class Unwatched;

  Result<std::unique_ptr<log::Log>> format();
  stack::Config config() const;
  void after_call();
  void wake_for_disks();
  void disk_event();

  sim::Context& context_;
  const Conditions& conditions_;
  Side side_;
  sim::Prng prng_;
  Hooks hooks_;
  std::unique_ptr<Unwatched> watcher_;
  std::vector<std::unique_ptr<sim::Disk>> disks_;
  Time disk_wake_ = kNever;
  sim::EngineRunner runner_;  // last: its engine uses all of the above
};

}  // namespace holdfast::lab
