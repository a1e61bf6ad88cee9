// A node of a service group that waits for its turn: looks at the heads of the log's pools until their owner has given
// the log back, or has not renewed its lease.
//
// Threads: the pools'.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "location/rados/pool.h"

namespace holdfast::cluster {

class Standby {
 public:
  // The pools, of `total` that were given, are those that could be opened; they outlive it, and are owned by nobody
  // here.
  Standby(std::vector<location::rados::Pool*> pools, std::size_t total);

  enum class View : std::uint8_t {
    kOwned,    // somebody holds the log
    kFree,     // it may be taken now
    kUnknown,  // no pool, or not enough of them, can be read: problem()
  };
  // Looks at each pool once; blocks for as long as these take to answer (milliseconds, or their bound).
  View look();
  // Until when nothing new is to be expected, but for a notification (Pool's store).
  Time next_look() const { return next_look_; }
  // A former owner has said something: look now.
  bool notified();

  // Of the last look. The owner, where there is one.
  const std::optional<location::rados::Owner>& owner() const { return owner_; }
  // It has been seen to renew its lease.
  bool owner_lives() const { return owner_lives_; }
  // The log never had an owner: whoever would rather not be the first can wait.
  bool fresh() const { return fresh_; }
  const std::string& problem() const { return problem_; }
  // A newer version's log, which is none of ours: ever, as this program is.
  const std::optional<Error>& incompatible() const { return incompatible_; }

 private:
  std::vector<location::rados::Pool*> pools_;
  std::size_t total_;
  std::optional<location::rados::Owner> owner_;
  bool fresh_ = false, owner_lives_ = false;
  std::string problem_;
  std::optional<Error> incompatible_;
  Time next_look_{};
};

}  // namespace holdfast::cluster
