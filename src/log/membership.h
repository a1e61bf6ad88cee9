// Who belongs to a log: locks the locations, reads their identities, formats empty ones, and refuses what does not fit
// together.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "log/identity.h"
#include "log/log.h"
#include "log/replica_set.h"

namespace holdfast::log {

struct Member {
  std::unique_ptr<location::Location> location;  // null: not given
  std::string name;
  LocationState state = LocationState::kActive;
  std::string reason;
  std::uint64_t id = 0;
  // Takes the place of a lost member; active only once it holds everything and enough others know it.
  bool refilling = false;

  bool usable() const { return location != nullptr && state != LocationState::kFailed; }
  void fail(std::string why) {
    state = LocationState::kFailed;
    reason = std::move(why);
  }
};

struct Membership {
  Identity identity;            // the one in force; `index` and `refilling` mean nothing here
  std::vector<Member> members;  // by index
};

// Fresh entropy, cut up.
struct Entropy {
  explicit Entropy(std::span<const std::byte, 96> random);
  std::uint64_t epoch_id = 0;
  LogId log_id{};
  Secrets secrets;
  std::uint64_t member_id(std::size_t index) const;

 private:
  Secret seed_;
};

// Errors as Log::open().
Result<Membership> establish(std::vector<std::unique_ptr<location::Location>> locations, const Options& options,
                             const Entropy& entropy, Duration lock_bound);

// Every refilling member in `complete` (bit i) holds the whole log now: makes it a member, known to enough others.
// Those that cannot be made one become kBehind.
void admit_refilled(Membership& membership, ReplicaSet complete);

}  // namespace holdfast::log
