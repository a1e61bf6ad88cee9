// SIGTERM, SIGINT and SIGHUP as something that a ring waits for.
#pragma once

#include <memory>

#include "location/ring.h"
#include "location/unique_fd.h"

namespace holdfast::node {

class StopSignals {
 public:
  // Blocks the signals in this thread; they stay pending until asked for.
  explicit StopSignals(location::Ring& ring);

  // Wakes the ring's wait() when one arrives. Once is enough.
  void arm() { readable_->arm(); }
  // After a wait.
  void take() { asked_ = asked_ || readable_->take(); }
  bool asked() const { return asked_; }
  // For who waits elsewhere than in the ring, and asks again and again; armed before, and again after it.
  bool look() {
    take();
    arm();
    return asked_;
  }

 private:
  location::UniqueFd fd_;
  std::unique_ptr<location::Readiness> readable_;
  bool asked_ = false;
};

}  // namespace holdfast::node
