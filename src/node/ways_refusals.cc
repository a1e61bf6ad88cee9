#include "node/ways_refusals.h"

#include <utility>

namespace holdfast::node {
namespace {

constexpr Duration kTellEvery = std::chrono::seconds(1);

}  // namespace

void WaysRefusals::note(const wire::FourTuple& tuple, std::uint8_t proposed, std::uint8_t least) {
  news_ = {news_.count + 1, tuple, proposed, least};
}

std::optional<WaysRefusals::News> WaysRefusals::take(Time now) {
  if (news_.count == 0 || now < not_before_) return std::nullopt;
  not_before_ = now + kTellEvery;
  return std::exchange(news_, {});
}

}  // namespace holdfast::node
