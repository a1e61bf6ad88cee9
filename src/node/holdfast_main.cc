// The program `holdfast`.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <variant>

#include "node/bucket_status.h"
#include "node/command_line.h"
#include "node/handover.h"
#include "node/lab.h"
#include "node/output.h"
#include "node/send.h"
#include "node/serve.h"
#include "node/store_status.h"
#include "node/streams.h"

namespace holdfast::node {
namespace {

struct Run {
  int operator()(const ServeCommand& command) const { return serve(command); }
  int operator()(const StreamsCommand& command) const { return streams(command); }
  int operator()(const SendCommand& command) const { return send(command); }
  int operator()(const LabCommand& command) const { return run_lab(command); }
  int operator()(const HandoverCommand& command) const { return handover(command); }
  int operator()(const StoreCommand& command) const { return store_status(command); }
  int operator()(const BucketsCommand& command) const { return bucket_status(command); }
  int operator()(const TextCommand& command) const {
    auto written = write_all(STDOUT_FILENO, command.text);
    return written ? kExitDone : report(written.error());
  }
};

// A standard descriptor that is closed would become the first thing that is opened, and log lines would go there.
// Opened the wrong way round, so that whoever uses it is told.
void guard_standard_descriptors() {
  for (int fd = 0; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    if (::open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY)) == fd) continue;
    if (::open("/", O_RDONLY | O_DIRECTORY) != fd) _exit(kExitFailed);  // which nobody can read or write either
  }
}

}  // namespace
}  // namespace holdfast::node

int main(int argc, char** argv) {
  using namespace holdfast::node;
  guard_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is told by write()
  std::signal(SIGXFSZ, SIG_IGN);  // and so is a file that may not grow (RLIMIT_FSIZE)
  const auto command = parse_command_line(argc, argv);
  return command ? std::visit(Run{}, *command) : report(command.error());
}
