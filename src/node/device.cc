#include "node/device.h"

#include <thread>

#include "link/interface.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

constexpr const char* kMark = "holdfast send: goes when all is delivered";

Result<bool> is_marked(const link::Tap& tap) {
  auto alias = link::alias_of(tap.name());
  if (!alias) return std::unexpected(alias.error());
  return *alias == kMark;
}

}  // namespace

Result<std::unique_ptr<link::Tap>> attach(const link::TapOptions& options) {
  constexpr auto kBound = std::chrono::seconds(2);
  constexpr auto kPause = std::chrono::milliseconds(10);
  const Time give_up = shard::monotonic_now() + kBound;
  for (;;) {
    auto opened = link::Tap::open(options);
    if (opened || opened.error().kind != Error::Kind::kBusy) return opened;
    if (shard::monotonic_now() >= give_up) {
      return fail(Error::Kind::kBusy, opened.error().message + ": end that one, or choose another name for --link");
    }
    std::this_thread::sleep_for(kPause);
  }
}

Result<void> keep_for_good(link::Tap& tap) {
  if (const auto marked = is_marked(tap); marked && *marked) {
    if (auto cleared = link::set_alias(tap.name(), ""); !cleared) return cleared;
  }
  return tap.make_persistent();
}

// The mark first: killed between the two, the device goes with the process.
Result<void> keep_until_done(link::Tap& tap) {
  if (tap.is_persistent()) return {};
  if (auto marked = link::set_alias(tap.name(), kMark); !marked) return marked;
  return tap.make_persistent();
}

Result<void> let_go(link::Tap& tap) {
  if (!tap.is_persistent()) return {};
  const auto marked = is_marked(tap);
  if (!marked) return std::unexpected(marked.error());
  return *marked ? tap.make_transient() : Result<void>{};
}

}  // namespace holdfast::node
