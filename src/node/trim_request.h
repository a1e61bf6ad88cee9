// A trim of a log that a node is running: a request left in a directory of the log, or in the head of a pool, which the
// node looks for now and then and answers there. Only who asks writes the request, only the node the answer; both
// replace it whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "location/rados/head.h"
#include "location/rados/pool.h"
#include "log/log.h"

namespace holdfast::node {

using location::rados::Trim;

// ---- Who asks ----
// Waits for the answer, as long as `bound`; kTimeout takes the request back. How far it came: what a live connection
// needs stays.
Result<SegmentNumber> ask_for_trim(const std::string& directory, const Trim& request, Duration bound);
// Of a log in pools alone. `address`: one of them, "rados:…".
Result<SegmentNumber> ask_pool_for_trim(const std::string& address, const Trim& request, Duration bound);

// ---- The node ----
class TrimRequests {
 public:
  // To be called from time to time. Answers what is done.
  void look(const std::vector<std::string>& directories, log::Log& log);
  // What the head of a pool of the log says now; the pool outlives this.
  void look(location::rados::Pool& pool, const location::rados::Head& head);

 private:
  struct Request {
    Trim trim;
    // Where it stands: in a pool, or else in a directory.
    location::rados::Pool* pool = nullptr;
    std::string directory;
  };
  std::optional<Request> next(const std::vector<std::string>& directories);
  void answer(SegmentNumber first_kept);

  std::optional<Request> under_way_;
  std::optional<Request> waiting_;  // found in a pool's head, and not begun
  std::uint64_t answered_ = 0;      // the last one's id: a head that was read before may still have it
};

}  // namespace holdfast::node
