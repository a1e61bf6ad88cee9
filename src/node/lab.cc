#include "node/lab.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>

#include "lab/ladder.h"
#include "lab/plots.h"
#include "lab/report.h"
#include "location/unique_fd.h"
#include "node/output.h"
#include "node/progress.h"

namespace holdfast::node {
namespace {

// Blocks the signals that ask for an end, so that no file is left half written; they wait until they are asked for.
class Interruption {
 public:
  Interruption() {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }

  bool asked() const {
    sigset_t waiting;
    sigpending(&waiting);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      if (sigismember(&waiting, signal) == 1) return true;
    }
    return false;
  }

 private:
  sigset_t signals_{};
};

std::unexpected<Error> io_error(const std::string& path, int error, const char* what_to_do) {
  return fail(Error::Kind::kIo, fmt::format("{}: {}: {}", path, std::strerror(error), what_to_do));
}

Result<void> write_file(const std::string& path, const std::string& text) {
  const location::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file) return io_error(path, errno, "give a file that can be written");
  auto written = write_all(file.get(), text);
  if (!written) return fail(Error::Kind::kIo, fmt::format("{}: {}", path, written.error().message));
  return {};
}

Result<void> make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error && !std::filesystem::is_directory(path, error) && !error) error.assign(ENOTDIR, std::generic_category());
  if (error) return io_error(path, error.value(), "give a directory that exists, or can be made");
  return {};
}

class Lab {
 public:
  explicit Lab(const LabCommand& command) : command_(command) {}

  Result<void> run() {
    // Before the work, so that a wrong path costs no time.
    if (!command_.svg.empty()) {
      if (auto made = make_directory(command_.svg); !made) return made;
    }
    if (command_.ladder) return ladder();
    if (!command_.csv.empty() && !csv_is_output()) {
      if (auto written = write_file(command_.csv, {}); !written) return written;
    }
    return sweep();
  }

 private:
  bool csv_is_output() const { return command_.csv == "-"; }

  Result<void> ladder() {
    lab::Ladder ladder;
    ladder.conditions = command_.grid.cells().front();
    ladder.seed = command_.grid.seed;
    auto outcome = lab::shake_hands(ladder.conditions, lab::seed_of(ladder.conditions, ladder.seed, 0));
    if (!outcome) return std::unexpected(outcome.error());
    ladder.outcome = *std::move(outcome);
    if (!command_.svg.empty()) {
      const auto path = fmt::format("{}/ladder-{}.svg", command_.svg, ladder.conditions.ways);
      if (auto written = write_file(path, ladder.svg()); !written) return written;
    }
    return say(ladder.text());
  }

  Result<void> sweep() {
    const lab::Grid& grid = command_.grid;
    const std::size_t combinations = grid.cells().size();
    std::optional<Result<std::vector<lab::Cell>>> cells;
    bool interrupted = false;
    {
      Progress progress("lab", combinations * grid.runs, !command_.quiet, Progress::Unit::kHandshakes);
      cells = lab::sweep(grid, [&](std::uint64_t done) {
        progress.update(done);
        interrupted = interruption_.asked();
        return !interrupted;
      });
    }
    if (!*cells) return std::unexpected(cells->error());
    if (interrupted && (*cells)->empty()) {
      return fail(Error::Kind::kUnavailable,
                  "interrupted before the first combination was measured: give fewer --runs");
    }
    if (auto told = tell(**cells); !told) return told;
    if (!interrupted) return {};
    return fail(Error::Kind::kUnavailable,
                fmt::format("interrupted: {} of {} combinations were measured, and are in the output", (*cells)->size(),
                            combinations));
  }

  Result<void> tell(const std::vector<lab::Cell>& cells) const {
    const lab::Grid& grid = command_.grid;
    if (!command_.csv.empty() && !csv_is_output()) {
      if (auto written = write_file(command_.csv, lab::csv(cells)); !written) return written;
    }
    if (!command_.svg.empty()) {
      for (const lab::Picture& picture : lab::plots(grid, cells)) {
        if (auto written = write_file(command_.svg + "/" + picture.name, picture.svg); !written) return written;
      }
    }
    if (csv_is_output()) return say(lab::csv(cells));
    return say(command_.json ? lab::json(grid, cells) : lab::table(grid, cells));
  }

  static Result<void> say(const std::string& text) {
    auto written = write_all(STDOUT_FILENO, text);
    if (!written) return std::unexpected(written.error());
    return {};
  }

  const LabCommand& command_;
  Interruption interruption_;
};

}  // namespace

int run_lab(const LabCommand& command) {
  auto done = Lab(command).run();
  return done ? kExitDone : report(done.error());
}

}  // namespace holdfast::node
