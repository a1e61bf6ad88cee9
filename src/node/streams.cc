#include "node/streams.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "log/log.h"
#include "node/output.h"
#include "node/progress.h"
#include "node/stored_log.h"
#include "node/stream_view.h"
#include "node/trim.h"

namespace holdfast::node {
namespace {

// How often a running node is looked at for growth.
constexpr int kFollowEveryMs = 50;

class Streams {
 public:
  explicit Streams(const StreamsCommand& command) : command_(command) {}

  // false: whoever reads our output has had enough.
  Result<bool> run() {
    if (auto opened = open(); !opened) return std::unexpected(opened.error());
    switch (command_.action) {
      case StreamsCommand::Action::kList:
        return list();
      case StreamsCommand::Action::kShow:
        return show();
      case StreamsCommand::Action::kCat:
        return cat();
      case StreamsCommand::Action::kTail:
        return tail();
      case StreamsCommand::Action::kTrim:
        break;
    }
    return true;
  }

 private:
  Result<void> open() {
    auto stored = StoredLog::open(command_.data);
    if (!stored) return std::unexpected(stored.error());
    stored_ = *std::move(stored);
    reader_ = &stored_->reader();
    for (const auto& problem : stored_->problems()) warn(problem.message);
    for (const auto& found : reader_->info().locations) {
      if (!found.problem.empty()) warn(log::with_name(found.name, found.problem));
    }
    if (const auto undecided = reader_->info().undecided; undecided > 0) {
      warn(fmt::format(
          "the last {} not in enough directories to have been acknowledged, unless a copy was lost: not "
          "shown; the next start adopts {}",
          undecided == 1 ? "batch is" : fmt::format("{} batches are", undecided), undecided == 1 ? "it" : "them"));
    }
    return {};
  }

  // One of several locations is missing or damaged: the others serve.
  static void warn(const std::string& message) {
    (void)write_all(STDERR_FILENO, fmt::format("holdfast: warning: {}\n", message));
  }

  Result<bool> list() {
    auto streams = reader_->list();
    if (!streams) return std::unexpected(streams.error());
    std::vector<StreamView> views;
    for (auto& stream : *streams) views.push_back(view(std::move(stream)));
    return complete(write_all(STDOUT_FILENO, command_.json ? json_list(views) : table(views)),
                    "there may be more streams and bytes than are listed");
  }

  // What could be read was written; whoever reads it must know that it is not all.
  Result<bool> complete(Result<bool> written, const std::string& what) const {
    const auto& damage = reader_->info().damage;
    if (!written || !*written || damage.empty()) return written;
    return fail(Error::Kind::kCorrupt, fmt::format("{}: {}", what, fmt::join(damage, "; ")));
  }

  Result<bool> show() {
    auto stream = reader_->show(command_.stream);
    if (!stream) return std::unexpected(stream.error());
    const auto shown = view(*std::move(stream));
    return complete(write_all(STDOUT_FILENO, command_.json ? json_object(shown) : details(shown)),
                    fmt::format("there may be more of stream {} than is shown", command_.stream.value));
  }

  static const log::StreamRange& range(const log::StreamInfo& stream, log::Direction direction) {
    return direction == log::Direction::kIn ? stream.in : stream.out;
  }

  static void tell_unfinished(const log::StreamInfo& stream, const log::StreamRange& stored) {
    if (!stream.closed || stored.fin) return;
    warn(fmt::format("stream {} was not finished: {}", stream.id.value, view(stream).closed_because));
  }

  // Copies [from, from + length) to standard output.
  Result<bool> copy(StreamOffset from, std::uint64_t length, Progress& progress) {
    if (length == 0) return true;
    Result<bool> outcome = true;
    auto read = reader_->read(command_.stream, command_.direction, from, length, [&](StreamOffset at, Bytes piece) {
      outcome = write_all(STDOUT_FILENO, piece);
      progress.update((at + piece.size()) - from);
      return outcome && *outcome;
    });
    if (!read) return std::unexpected(read.error());
    return outcome;
  }

  Result<bool> was_trimmed(StreamOffset from, StreamOffset kept) const {
    return fail(
        Error::Kind::kUsage,
        fmt::format("stream {} {}: bytes [{}, {}) were trimmed: --from kept begins with the first byte there is",
                    command_.stream.value, command_.direction == log::Direction::kIn ? "in" : "out", from.value,
                    kept.value));
  }

  Result<bool> cat() {
    auto shown = reader_->show(command_.stream);
    if (!shown) return std::unexpected(shown.error());
    const log::StreamInfo stream = view(*std::move(shown)).info;
    const auto& stored = range(stream, command_.direction);
    const StreamOffset from = command_.from_kept ? stored.begin : StreamOffset{command_.from.value_or(0)};
    if (from < stored.begin) return was_trimmed(from, stored.begin);
    if (from > stored.end) {
      return fail(Error::Kind::kUsage,
                  fmt::format("--from {}: stream {} ends at {}", from.value, command_.stream.value, stored.end.value));
    }
    const std::uint64_t wanted = command_.length.value_or(~std::uint64_t{0});
    const auto length = std::min(wanted, stored.end - from);
    Progress progress("cat", length, true);
    auto copied = copy(from, length, progress);
    if (wanted == length) return copied;
    tell_unfinished(stream, stored);
    if (stored.fin) return copied;
    return complete(std::move(copied),
                    fmt::format("stream {} may go on behind byte {}", command_.stream.value, stored.end.value));
  }

  Result<bool> tail() {
    Progress progress("tail", std::nullopt, false);
    for (const auto& damage : reader_->info().damage) warn(damage);
    std::optional<StreamOffset> next;
    if (command_.from) next = StreamOffset{*command_.from};
    bool from_kept = command_.from_kept;
    for (;;) {
      auto shown = reader_->show(command_.stream);
      if (!shown) return std::unexpected(shown.error());
      const log::StreamInfo stream = view(*std::move(shown)).info;
      const auto& stored = range(stream, command_.direction);
      if (std::exchange(from_kept, false)) next = stored.begin;
      if (!next) next = stored.end;
      if (*next < stored.begin) return was_trimmed(*next, stored.begin);
      if (*next < stored.end) {
        auto copied = copy(*next, stored.end - *next, progress);
        if (!copied || !*copied) return copied;
        next = stored.end;
      }
      if (stored.fin || stream.closed) {
        tell_unfinished(stream, stored);
        return true;
      }
      // Waits, and learns when nobody reads our output any more.
      pollfd output{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
      if (::poll(&output, 1, kFollowEveryMs) > 0) return false;
      if (auto grown = reader_->refresh(); !grown) return std::unexpected(grown.error());
    }
  }

  const StreamsCommand& command_;
  std::optional<StoredLog> stored_;
  log::Reader* reader_ = nullptr;
};

}  // namespace

int streams(const StreamsCommand& command) {
  if (command.action == StreamsCommand::Action::kTrim) return trim(command);
  Streams run(command);
  const auto done = run.run();
  return done ? kExitDone : report(done.error());
}

}  // namespace holdfast::node
