#include "node/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "node/output.h"
#include "node/values.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

constexpr Duration kQuietFor = std::chrono::milliseconds(500);
constexpr Duration kDrawEvery = std::chrono::milliseconds(100);
constexpr std::size_t kBarWidth = 30;
constexpr std::string_view kEraseLine = "\r\x1b[K";

}  // namespace

Progress::Progress(std::string what, std::optional<std::uint64_t> total, bool wanted, Unit unit)
    : what_(std::move(what)),
      total_(total),
      unit_(unit),
      shown_(wanted && ::isatty(STDERR_FILENO) == 1),
      started_(shard::monotonic_now()),
      next_draw_(started_ + kQuietFor) {}

Progress::~Progress() {
  if (drawn_) (void)write_all(STDERR_FILENO, kEraseLine);
}

void Progress::update(std::uint64_t done) {
  if (!shown_) return;
  done_ = done;
  const Time now = shard::monotonic_now();
  if (now >= next_draw_) draw(now);
}

void Progress::draw(Time now) {
  next_draw_ = now + kDrawEvery;
  drawn_ = true;
  const auto seconds = std::chrono::duration<double>(now - started_).count();
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(done_) / seconds);
  std::string line(kEraseLine);
  line += what_;
  if (total_ && *total_ > 0) {
    const auto fraction = std::min(1.0, static_cast<double>(done_) / static_cast<double>(*total_));
    const auto filled = static_cast<std::size_t>(fraction * static_cast<double>(kBarWidth));
    line += fmt::format(" [{}{}] {:3.0f} %", std::string(filled, '#'), std::string(kBarWidth - filled, '.'),
                        fraction * 100);
  }
  line += unit_ == Unit::kBytes ? fmt::format(" {} {}/s", human_size(done_), human_size(rate))
                                : fmt::format(" {} handshakes, {}/s", done_, rate);
  (void)write_all(STDERR_FILENO, line);
}

}  // namespace holdfast::node
