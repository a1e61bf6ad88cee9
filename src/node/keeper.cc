#include "node/keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>

#include "location/unique_fd.h"
#include "node/child.h"
#include "node/output.h"
#include "node/restart_policy.h"
#include "node/service_notify.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

std::string describe(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

class Keeper {
 public:
  explicit Keeper(const KeeperConfig& config) : config_(config) {
    const auto signals = handled_signals();
    sigprocmask(SIG_BLOCK, &signals, &signals_before_);
    signals_ = location::UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  int run() {
    start_node(shard::monotonic_now());
    while (!exit_status_) {
      wait();
      const Time now = shard::monotonic_now();
      take_status(now);
      take_signals(now);
      reap(now);
      if (node_ == 0 && !exit_status_ && now >= start_at_) start_node(now);
      if (node_ != 0 && now >= kill_at_) ::kill(node_, SIGKILL);
    }
    return *exit_status_;
  }

 private:
  void wait() {
    pollfd sources[2] = {{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                         {.fd = config_.status_fd, .events = POLLIN, .revents = 0}};
    const Time until = node_ == 0 ? start_at_ : kill_at_;
    int timeout = -1;
    if (until != kNever) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - shard::monotonic_now()).count();
      timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
    }
    ::poll(sources, 2, timeout);
  }

  void start_node(Time now) {
    started_ = now;
    ready_at_ = kNever;
    Child child{.arguments = config_.command, .inherited = config_.inherited, .blocked = signals_before_};
    child.arguments.push_back(fmt::format("--inherited-start={}", ++starts_));
    const pid_t pid = execute(child);
    if (pid < 0) {
      start_at_ = now + RestartPolicy::kLongestDelay;
      spdlog::error("can't start the node: {}; next attempt in 5 s", std::strerror(errno));
      return;
    }
    node_ = pid;
    config_.events->write("node-started", {{"node", std::to_string(pid)}});
  }

  // The node says that it is ready.
  void take_status(Time now) {
    char bytes[64];
    if (::read(config_.status_fd, bytes, sizeof bytes) <= 0) return;
    ready_at_ = now;
    if (was_ready_) return;
    was_ready_ = true;
    config_.first_ready();
  }

  void take_signals(Time now) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGCHLD || stopping_) continue;
      stopping_ = true;
      notify_service("STOPPING=1");
      config_.events->write("keeper-stopping");
      if (node_ == 0) {
        exit_status_ = 0;
        return;
      }
      ::kill(node_, SIGTERM);
      kill_at_ = now + config_.stop_bound;
    }
  }

  void reap(Time now) {
    int status = 0;
    if (node_ == 0 || ::waitpid(node_, &status, WNOHANG) != node_) return;
    take_status(now);  // it may have become ready and died within one turn
    const auto lived = std::chrono::duration<double, std::milli>(now - started_).count();
    config_.events->write("node-died", {{"node", std::to_string(node_)},
                                        {"how", json_string(describe(status))},
                                        {"lived_ms", fmt::format("{:.1f}", lived)}});
    node_ = 0;
    const bool handed_over = WIFEXITED(status) && WEXITSTATUS(status) == kExitHandedOver;
    if (stopping_) {
      const bool by_our_signal = WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;  // it had barely begun
      exit_status_ = handed_over || by_our_signal ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : 1;
      return;
    }
    if (refused_to_start(status)) {
      exit_status_ = WEXITSTATUS(status);
      return;
    }
    if (!config_.has_device()) {
      spdlog::error("the device was removed: start the node anew, and its connections go on");
      exit_status_ = 1;
      return;
    }
    if (handed_over) {
      spdlog::info("another node serves now: this one stands by");
      start_at_ = now;
      return;
    }
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    const Duration delay = policy_.delay_after(ready_at_ == kNever ? Duration(-1) : now - ready_at_, killed);
    start_at_ = now + delay;
    spdlog::warn("the node died ({}): restarting it {}", describe(status),
                 delay == Duration::zero()
                     ? "at once"
                     : fmt::format("in {} ms", std::chrono::duration_cast<std::chrono::milliseconds>(delay).count()));
  }

  bool refused_to_start(int status) const {
    if (was_ready_ || !WIFEXITED(status)) return false;
    const int code = WEXITSTATUS(status);
    return code == 0 || code == 1 || code == 2 || code == kExecFailed;
  }

  const KeeperConfig& config_;
  unsigned starts_ = 0;
  sigset_t signals_before_{};
  location::UniqueFd signals_;
  RestartPolicy policy_;
  pid_t node_ = 0;          // 0: none runs
  Time started_{};          // the node
  Time ready_at_ = kNever;  // the node
  Time start_at_ = kNever;  // the next one
  Time kill_at_ = kNever;   // it did not end after SIGTERM
  bool was_ready_ = false;  // some node was
  bool stopping_ = false;
  std::optional<int> exit_status_;
};

}  // namespace

int run_keeper(const KeeperConfig& config) {
  Keeper keeper(config);
  return keeper.run();
}

}  // namespace holdfast::node
