// The owner's side where a log is in several pools: whether it may go on renewing.
//
// An owner that reaches too few of them can store nothing, but would keep those that it reaches for ever: nobody who
// reaches all could take the log, for that takes all that somebody holds. So it lets the others lapse, too, until it
// reaches enough again or somebody has taken them.
//
// Threads: the pools'.
#pragma once

#include <vector>

#include "location/rados/pool.h"

namespace holdfast::cluster {

class Tenure {
 public:
  // `total` pools were given, of which `needed` must have what is stored; `pools` are those that could be opened, and
  // outlive it.
  Tenure(std::vector<location::rados::Pool*> pools, std::size_t total, std::size_t needed);

  // From time to time.
  void look();
  // Too few are reached: none is renewed that is.
  bool holds_back() const { return holds_back_; }
  // Too few are left: others have taken the rest.
  bool lost() const { return lost_; }

 private:
  std::vector<location::rados::Pool*> pools_;
  std::vector<location::rados::Pool*> held_back_;
  std::size_t total_, spare_;
  bool holds_back_ = false, lost_ = false;
};

}  // namespace holdfast::cluster
