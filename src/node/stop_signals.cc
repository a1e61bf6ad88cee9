#include "node/stop_signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "base/assert.h"

namespace holdfast::node {

StopSignals::StopSignals(location::Ring& ring) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  fd_ = location::UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  HF_ASSERT(fd_);
  readable_ = std::make_unique<location::Readiness>(ring, fd_.get(), POLLIN);
}

}  // namespace holdfast::node
