#include "log/blocking.h"

#include <fmt/core.h>

#include <array>
#include <optional>
#include <utility>

namespace holdfast::log {
namespace {

// wait() may return early, and at once where a location cannot tell; one that has nothing to wait for any more must not
// keep us for ever.
constexpr int kMaxWaits = 1'000'000;

}  // namespace

Result<void> await_all(location::Location& location, std::size_t count) {
  std::optional<Error> error;
  auto all = await_each(location, count, [&](location::Completion& done) {
    if (done.error && !error) error = std::move(done.error);
  });
  if (error) return std::unexpected(*std::move(error));
  return all;
}

Result<void> await_each(location::Location& location, std::size_t count,
                        const std::function<void(location::Completion&)>& ended_one) {
  std::array<location::Completion, 16> done;
  for (int waits = 0; waits < kMaxWaits && count > 0;) {
    const std::size_t ended = location.poll(done);
    for (std::size_t i = 0; i < ended; ++i) ended_one(done[i]);
    count -= ended;
    if (ended > 0 || count == 0) continue;
    if (location.in_flight() == 0) break;
    location.wait();
    ++waits;
  }
  if (count == 0) return {};
  return fail(Error::Kind::kTimeout, fmt::format("{}: does not answer", location.name()));
}

Result<void> write_now(location::Location& location, SegmentNumber segment, std::uint64_t offset, Bytes bytes) {
  location.write(0, segment, offset, bytes);
  return await_all(location, 1);
}

Result<void> prepare_now(location::Location& location, SegmentNumber segment, std::uint64_t size) {
  location.prepare(0, segment, size);
  return await_all(location, 1);
}

Result<void> recycle_now(location::Location& location, SegmentNumber from, SegmentNumber to) {
  location.recycle(0, from, to);
  return await_all(location, 1);
}

Result<void> remove_now(location::Location& location, SegmentNumber segment) {
  location.remove(0, segment);
  return await_all(location, 1);
}

}  // namespace holdfast::log
