// The log as a command has it: its places opened and locked, its start looked after, its locations watched, its last
// writes waited for.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "location/ring.h"
#include "log/log.h"
#include "node/places.h"
#include "stack/engine.h"

namespace holdfast::node {

// Waits a few seconds for a former owner's last writes, or its lease. `warn` is told what an operator should know about
// the places.
Result<std::unique_ptr<log::Log>> open_log(Places places, const log::Options& options, log::RecordVisitor& visitor,
                                           const std::function<void(const std::string&)>& warn);

// An error that gives the reasons where nothing more can become durable: too few locations work; or, for a log that has
// begun nothing yet, no location has room.
Result<void> check_quorum(const log::Log& log);
Result<void> check_room(const log::Log& log);

// Waits, but not for long, until what the log was given is stored. False where it is not.
bool store_all(stack::Engine& engine, location::Ring& ring);
// Before an end: the same, and until each location has it, or `bound`.
bool settle(stack::Engine& engine, location::Ring& ring, Time bound);
// How long an end takes at the most, in all: well below the keeper's patience.
inline constexpr Duration kEndBound = std::chrono::seconds(4);

// Tells what became of the locations since the last look.
class StorageWatch {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void location_changed(const log::LocationStatus& location, const log::Log& log) = 0;
    // Those that have no room; none: there is room again.
    virtual void full_changed(const std::vector<std::string>& full) = 0;
  };
  void look_at(const log::Log& log, Listener& listener);

 private:
  std::map<std::string, log::LocationState> states_;
  bool full_ = false;
};

}  // namespace holdfast::node
