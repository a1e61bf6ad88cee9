#include "location/rados/errors.h"

#include <fmt/core.h>

#include <algorithm>

namespace holdfast::location::rados {

Error error_of(const Finished& finished, const std::string& place, std::string_view what) {
  const auto text = [&](std::string_view why) { return fmt::format("{}: cannot {}: {}", place, what, why); };
  switch (finished.outcome) {
    case Outcome::kAbsent:
      return {Error::Kind::kIo, text("the object is not there")};
    case Outcome::kGuard:
      return {Error::Kind::kBusy, text("another node has taken this log over")};
    case Outcome::kUnknown:
      return {Error::Kind::kTimeout, text("no answer from the cluster in time: look at `ceph -s`")};
    case Outcome::kFull:
      return {Error::Kind::kFull, text("the cluster or the pool is full: make room, or raise the pool's quota")};
    case Outcome::kShutOut:
      return {Error::Kind::kUnavailable,
              text("the cluster has this client on its blocklist (`ceph osd blocklist ls`): another node has taken the "
                   "log over, or an operator did it")};
    case Outcome::kDone:
    case Outcome::kExists:
    case Outcome::kFailed:
      break;
  }
  return {Error::Kind::kIo, text(finished.reason.empty() ? "something else is in its place" : finished.reason)};
}

Result<Head> head_of(const Finished& finished, const std::string& place) {
  if (finished.outcome == Outcome::kAbsent) return Head();
  if (finished.outcome != Outcome::kDone) return std::unexpected(error_of(finished, place, "read the log's head"));
  return decode_head(finished, place);
}

Result<void> copy_data(const Finished& finished, MutableBytes into, const std::string& place, SegmentNumber segment) {
  const auto what = [&] { return fmt::format("read segment {}", segment.value); };
  if (finished.outcome != Outcome::kDone) return std::unexpected(error_of(finished, place, what()));
  if (finished.data.size() != into.size()) {
    return fail(Error::Kind::kIo, fmt::format("{}: cannot {}: the object ends before", place, what()));
  }
  std::ranges::copy(finished.data, into.begin());
  return {};
}

}  // namespace holdfast::location::rados
