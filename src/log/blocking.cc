#include "log/blocking.h"

#include <fmt/core.h>

#include <array>

namespace holdfast::log {
namespace {

// wait() may return early, and at once where a location cannot tell; one that has nothing to wait for any more must not
// keep us for ever.
constexpr int kMaxWaits = 1'000'000;

Result<void> finish(location::Location& location) {
  std::array<location::Completion, 4> done;
  for (int waits = 0; waits < kMaxWaits; ++waits) {
    if (location.poll(done) > 0) {
      if (done[0].error) return std::unexpected(*done[0].error);
      return {};
    }
    if (location.in_flight() == 0) break;
    location.wait();
  }
  return fail(Error::Kind::kTimeout, fmt::format("{}: does not answer", location.name()));
}

}  // namespace

Result<void> write_now(location::Location& location, SegmentNumber segment, std::uint64_t offset, Bytes bytes) {
  location.write(0, segment, offset, bytes);
  return finish(location);
}

Result<void> prepare_now(location::Location& location, SegmentNumber segment, std::uint64_t size) {
  location.prepare(0, segment, size);
  return finish(location);
}

Result<void> recycle_now(location::Location& location, SegmentNumber from, SegmentNumber to) {
  location.recycle(0, from, to);
  return finish(location);
}

Result<void> remove_now(location::Location& location, SegmentNumber segment) {
  location.remove(0, segment);
  return finish(location);
}

}  // namespace holdfast::log
