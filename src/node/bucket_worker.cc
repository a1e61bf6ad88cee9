#include "node/bucket_worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "node/child.h"
#include "node/output.h"

namespace holdfast::node {
namespace {

constexpr int kQueuedBytes = 4 << 20;  // of frames for a worker that is away
constexpr int kQueuedEvents = 1 << 20;
constexpr unsigned kFailuresAtMost = 2;  // in a row, before the bucket is left to others

}  // namespace

BucketWorker::~BucketWorker() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

bool BucketWorker::make_channels() {
  if (!ours_) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return false;
    ours_ = location::UniqueFd(ends[0]);
    theirs_ = location::UniqueFd(ends[1]);
    if (::setsockopt(ours_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kQueuedBytes, sizeof kQueuedBytes) != 0) {
      ::setsockopt(ours_.get(), SOL_SOCKET, SO_SNDBUF, &kQueuedBytes, sizeof kQueuedBytes);
    }
  }
  return true;
}

bool BucketWorker::start(Time now) {
  int pipe_ends[2] = {-1, -1};
  // It waits for us to read, rather than let us miss what happened to it.
  if (!make_channels() || ::pipe2(pipe_ends, O_CLOEXEC) != 0) {
    spdlog::error("bucket {}: can't make a channel to its process: {}", bucket_, std::strerror(errno));
    retry_at_ = now + RestartPolicy::kLongestDelay;
    return false;
  }
  told_ = location::UniqueFd(pipe_ends[0]);
  const location::UniqueFd telling(pipe_ends[1]);
  ::fcntl(told_.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(told_.get(), F_SETPIPE_SZ, kQueuedEvents);

  Child child{.arguments = command_.arguments, .inherited = command_.inherited, .blocked = {}};
  sigemptyset(&child.blocked);
  child.arguments.push_back(fmt::format("--inherited-bucket={}", bucket_));
  child.arguments.push_back(fmt::format("--inherited-frames={}", theirs_.get()));
  child.arguments.push_back(fmt::format("--inherited-events={}", telling.get()));
  child.inherited.push_back(theirs_.get());
  child.inherited.push_back(telling.get());
  const pid_t process = execute(child);
  if (process < 0) {
    spdlog::error("bucket {}: can't start its process: {}", bucket_, std::strerror(errno));
    retry_at_ = now + RestartPolicy::kLongestDelay;
    return false;
  }
  process_ = process;
  readable_ = std::make_unique<location::Readiness>(ring_, told_.get(), POLLIN);
  partial_.clear();
  ended_ = stopped_ = false;
  ready_at_ = kNever;
  retry_at_ = kNever;
  if (!holds()) enter(State::kStarting, now);
  return true;
}

bool BucketWorker::resume(std::uint64_t epoch, Time now) {
  epoch_ = epoch;
  enter(State::kTaking, now);
  return start(now);
}

void BucketWorker::stop() {
  if (process_ > 0 && !stopped_) ::kill(process_, SIGTERM);
  stopped_ = true;
  if (process_ <= 0) state_ = State::kNone;
}

void BucketWorker::kill() {
  if (process_ > 0) ::kill(process_, SIGKILL);
}

bool BucketWorker::give(Bytes message) {
  return ::send(ours_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void BucketWorker::arm() {
  if (readable_) readable_->arm();
}

bool BucketWorker::turn(Time now) {
  const State before = state_;
  if (readable_ && readable_->take()) read_events(now);
  if (ended_) reap(now);
  if (process_ <= 0 && holds() && now >= retry_at_) start(now);
  return state_ != before;
}

void BucketWorker::read_events(Time now) {
  char piece[16 << 10];
  while (true) {
    const auto count = ::read(told_.get(), piece, sizeof piece);
    if (count < 0) return;
    if (count == 0) {
      ended_ = true;
      readable_.reset();
      return;
    }
    partial_.append(piece, static_cast<std::size_t>(count));
    std::size_t from = 0;
    for (auto end = partial_.find('\n'); end != std::string::npos; end = partial_.find('\n', from)) {
      take_event(std::string_view(partial_).substr(from, end - from), now);
      from = end + 1;
    }
    partial_.erase(0, from);
  }
}

void BucketWorker::take_event(std::string_view line, Time now) {
  events_.pass_on(line, "bucket", std::to_string(bucket_));
  const auto event = nlohmann::json::parse(line, nullptr, false);
  if (!event.is_object() || !event.contains("event")) return;
  const std::string what = event["event"];
  if (what == "standing-by") enter(State::kStandingBy, now);
  if (what == "taking-over" || (what == "recovered" && state_ != State::kServing)) enter(State::kTaking, now);
  if (what == "ready") {
    epoch_ = event.value("epoch", std::uint64_t{0});
    ready_at_ = now;
    enter(State::kServing, now);
  }
  if (what == "stopping" || what == "ownership-lost") enter(State::kGiving, now);
}

void BucketWorker::reap(Time now) {
  int status = 0;
  if (process_ <= 0 || ::waitpid(process_, &status, WNOHANG) != process_) return;
  process_ = 0;
  ended_ = false;
  const bool exited = WIFEXITED(status);
  const int code = exited ? WEXITSTATUS(status) : 0;
  const bool given = state_ == State::kGiving || stopped_ || (exited && (code == kExitHandedOver || code == kExitDone));
  if (given) {
    retry_at_ = now;
    enter(State::kNone, now);
    return;
  }
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  const Duration delay = policy_.delay_after(ready_at_ == kNever ? Duration(-1) : now - ready_at_, killed);
  const std::string how = exited ? fmt::format("exit status {}", code) : fmt::format("signal {}", WTERMSIG(status));
  spdlog::warn("bucket {}: its process died ({})", bucket_, how);
  events_.write("bucket-died", {{"bucket", std::to_string(bucket_)}, {"how", json_string(how)}});
  retry_at_ = now + delay;
  // What it held is held on to: it goes on where it was. Or somebody else is to try.
  if (!holds() || policy_.failures() > kFailuresAtMost) {
    retry_at_ = now + std::max<Duration>(delay, RestartPolicy::kLongestDelay);
    enter(State::kNone, now);
  }
}

void BucketWorker::enter(State state, Time now) {
  if (state_ == state) return;
  state_ = state;
  since_ = now;
}

}  // namespace holdfast::node
