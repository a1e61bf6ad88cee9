// How long the keeper waits before it starts a node again. Pure: the keeper brings the times.
//
// A node that had worked for a while is restarted at once, and so is the first of a row that did not. One that dies
// again and again while it starts waits 100 ms, 200 ms, … up to 5 s between attempts. The keeper never gives up.
//
// SIGKILL comes from outside (a person, the kernel when memory runs out), whatever the node does: that is no failure of
// its own, and its peers are waiting.
#pragma once

#include "base/units.h"

namespace holdfast::node {

class RestartPolicy {
 public:
  static constexpr Duration kWorkedLongEnough = std::chrono::milliseconds(100);
  static constexpr Duration kFirstDelay = std::chrono::milliseconds(100);
  static constexpr Duration kLongestDelay = std::chrono::seconds(5);

  // The node ended. `worked` is the time since it was ready; negative when it never was. `killed`: by SIGKILL.
  Duration delay_after(Duration worked, bool killed);
  // Ends in a row without having worked long enough.
  unsigned failures() const { return failures_; }

 private:
  unsigned failures_ = 0;
};

}  // namespace holdfast::node
