#include "sim/seed_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <vector>

#include "base/assert.h"
#include "sim/group_world.h"

namespace holdfast::sim {

namespace {

bool write_all(int fd, const void* from, std::size_t size) {
  const char* at = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t n = ::write(fd, at, size);
    if (n <= 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

bool read_all(int fd, void* into, std::size_t size) {
  char* at = static_cast<char*>(into);
  while (size > 0) {
    const ssize_t n = ::read(fd, at, size);
    if (n <= 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

// A result as it goes through a pipe, behind it its texts.
struct Message {
  std::uint64_t seed, trace_hash, events, streams, bytes_stored, lives;
  double simulated_seconds;
  FaultCounts faults;
  bool ok;
  std::uint32_t failure_size, scenario_size;
};

bool send_result(int fd, const WorldResult& result) {
  Message message{};
  message.seed = result.seed;
  message.trace_hash = result.trace_hash;
  message.events = result.events;
  message.streams = result.streams;
  message.bytes_stored = result.bytes_stored;
  message.lives = result.lives;
  message.simulated_seconds = result.simulated_seconds;
  message.faults = result.faults;
  message.ok = result.ok;
  message.failure_size = static_cast<std::uint32_t>(result.failure.size());
  message.scenario_size = static_cast<std::uint32_t>(result.scenario.size());
  return write_all(fd, &message, sizeof message) && write_all(fd, result.failure.data(), result.failure.size()) &&
         write_all(fd, result.scenario.data(), result.scenario.size());
}

std::optional<WorldResult> receive_result(int fd) {
  Message message{};
  if (!read_all(fd, &message, sizeof message)) return std::nullopt;
  WorldResult result;
  result.seed = message.seed;
  result.trace_hash = message.trace_hash;
  result.events = message.events;
  result.streams = message.streams;
  result.bytes_stored = message.bytes_stored;
  result.lives = message.lives;
  result.simulated_seconds = message.simulated_seconds;
  result.faults = message.faults;
  result.ok = message.ok;
  result.failure.resize(message.failure_size);
  result.scenario.resize(message.scenario_size);
  if (!read_all(fd, result.failure.data(), result.failure.size()) ||
      !read_all(fd, result.scenario.data(), result.scenario.size())) {
    return std::nullopt;
  }
  return result;
}

[[noreturn]] void work(int seeds, int results, const RunOptions& options) {
  if (options.quiet) {
    const int nowhere = ::open("/dev/null", O_WRONLY);
    if (nowhere >= 0) ::dup2(nowhere, STDERR_FILENO);
  }
  std::uint64_t seed = 0;
  while (read_all(seeds, &seed, sizeof seed)) {
    if (!send_result(results, run_any_world(options.kind, seed, {}))) break;
  }
  ::_exit(0);
}

// That a process has used so far; 0 if there is none.
std::chrono::nanoseconds processor_time(pid_t process) {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return {};
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

class Worker {
 public:
  void start(const RunOptions& options) {
    int down[2], up[2];
    HF_ASSERT(::pipe(down) == 0 && ::pipe(up) == 0);
    pid_ = ::fork();
    HF_ASSERT(pid_ >= 0);
    if (pid_ == 0) {
      ::close(down[1]);
      ::close(up[0]);
      work(down[0], up[1], options);
    }
    ::close(down[0]);
    ::close(up[1]);
    seeds_ = down[1];
    results_ = up[0];
    ::fcntl(seeds_, F_SETFD, FD_CLOEXEC);
    ::fcntl(results_, F_SETFD, FD_CLOEXEC);
  }
  bool give(std::uint64_t seed) {
    seed_ = seed;
    spent_before_ = processor_time(pid_);
    return write_all(seeds_, &seed, sizeof seed);
  }
  std::optional<WorldResult> take() {
    auto result = receive_result(results_);
    if (result) seed_.reset();
    return result;
  }
  // How it ended.
  int end(bool by_force) {
    if (by_force) ::kill(pid_, SIGKILL);
    ::close(seeds_);
    ::close(results_);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

  int results() const { return results_; }
  bool alive() const { return pid_ > 0; }
  std::optional<std::uint64_t> seed() const { return seed_; }
  // Processor time, so that a busy machine makes no world endless.
  std::chrono::nanoseconds spent() const { return processor_time(pid_) - spent_before_; }

 private:
  pid_t pid_ = -1;
  int seeds_ = -1, results_ = -1;
  std::optional<std::uint64_t> seed_;
  std::chrono::nanoseconds spent_before_{};
};

WorldResult lost_result(std::uint64_t seed, const std::string& why) {
  WorldResult result;
  result.seed = seed;
  result.failure = why;
  return result;
}

std::string how_it_died(int status) {
  if (WIFSIGNALED(status)) return std::string("the process died: ") + ::strsignal(WTERMSIG(status));
  return "the process ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

WorldResult run_any_world(WorldKind kind, std::uint64_t seed, const WorldOptions& options) {
  return kind == WorldKind::kGroup ? run_group_world(seed, options) : run_world(seed, options);
}

void run_seeds(const SeedRange& range, const RunOptions& options, const std::function<bool(const WorldResult&)>& done) {
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<Worker> workers(std::max(1U, options.jobs));
  std::uint64_t next = range.first;
  const std::uint64_t end = range.first + range.count;
  bool stop = false;
  const auto busy = [&] { return std::ranges::any_of(workers, [](const Worker& w) { return w.seed().has_value(); }); };
  while ((!stop && next != end) || busy()) {
    if (stop) break;
    std::vector<pollfd> waiting;
    std::vector<Worker*> by_index;
    for (Worker& worker : workers) {
      if (!worker.seed() && next != end) {
        if (!worker.alive()) worker.start(options);
        worker.give(next++);
      }
      if (!worker.seed()) continue;
      waiting.push_back({worker.results(), POLLIN, 0});
      by_index.push_back(&worker);
    }
    ::poll(waiting.data(), waiting.size(), 1000);
    for (std::size_t i = 0; i < waiting.size() && !stop; ++i) {
      Worker& worker = *by_index[i];
      const std::uint64_t seed = *worker.seed();
      if (waiting[i].revents != 0) {
        const auto result = worker.take();
        if (result) {
          stop = !done(*result);
        } else {
          const int status = worker.end(false);  // it is dead already
          worker = Worker{};
          stop = !done(lost_result(seed, how_it_died(status)));
        }
      } else if (worker.spent() > std::chrono::seconds(options.seconds_per_seed)) {
        worker.end(true);
        worker = Worker{};
        stop = !done(lost_result(seed, "the process did not end in time"));
      }
    }
  }
  for (Worker& worker : workers) {
    // Its pipe may be held open by a sibling: it would not see the end.
    if (worker.alive()) worker.end(true);
  }
}

}  // namespace holdfast::sim
