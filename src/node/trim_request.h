// A trim of a log that a node is running: a request left in a directory of the log, or in the head of a pool, which the
// node looks for now and then and answers there. Only who asks writes the request, only the node the answer; both
// replace it whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "location/rados/head.h"
#include "location/rados/pool.h"
#include "log/log.h"

namespace holdfast::node {

struct TrimRequest {
  std::uint64_t id = 0;  // random: the answer has the same
  SegmentNumber first_kept;
};
struct TrimAnswer {
  std::uint64_t id = 0;
  SegmentNumber first_kept;  // how far it came: what a live connection needs stays
};

// ---- Who asks ----
// Waits for the answer, as long as `bound`; kTimeout takes the request back.
Result<TrimAnswer> ask_for_trim(const std::string& directory, const TrimRequest& request, Duration bound);
// Of a log in pools alone. `address`: one of them, "rados:…".
Result<TrimAnswer> ask_pool_for_trim(const std::string& address, const TrimRequest& request, Duration bound);

// ---- The node ----
class TrimRequests {
 public:
  // To be called from time to time. Answers what is done.
  void look(const std::vector<std::string>& directories, log::Log& log);
  // What the head of a pool of the log says now; the pool outlives this.
  void look(location::rados::Pool& pool, const location::rados::Head& head);

 private:
  void answer(SegmentNumber first_kept);

  std::optional<TrimRequest> under_way_;
  // Where it stands: in a pool, or else in a directory.
  location::rados::Pool* pool_ = nullptr;
  std::string directory_;
  // Found in a pool's head, and not begun.
  std::optional<std::pair<location::rados::Pool*, TrimRequest>> waiting_;
  std::uint64_t answered_ = 0;  // the last one's id: a head that was read before may still have it
};

}  // namespace holdfast::node
