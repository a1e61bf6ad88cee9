// A trim of a log that a node is running: a request left in a directory of the log, which the node looks for now and
// then and answers there. Only who asks writes the request, only the node the answer; both replace the file whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
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

// ---- The node ----
class TrimRequests {
 public:
  // To be called from time to time. Answers what is done.
  void look(const std::vector<std::string>& directories, log::Log& log);

 private:
  std::string directory_;  // that of the request under way
  std::optional<TrimRequest> under_way_;
};

}  // namespace holdfast::node
