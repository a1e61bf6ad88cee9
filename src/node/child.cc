#include "node/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "node/service_notify.h"

namespace holdfast::node {

pid_t execute(const Child& child) {
  std::vector<char*> arguments;
  for (const auto& argument : child.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    if (!is_service_variable(*variable)) environment.push_back(*variable);
  }
  environment.push_back(nullptr);
  const int parent = ::getpid();
  const pid_t process = ::fork();
  if (process != 0) return process;
  // In the child. Only calls that are safe after a fork of a process with threads.
  if (!die_with_parent(parent)) ::_exit(kExecFailed);
  for (const int fd : child.inherited) ::fcntl(fd, F_SETFD, 0);
  sigprocmask(SIG_SETMASK, &child.blocked, nullptr);
  ::execve("/proc/self/exe", arguments.data(), environment.data());
  ::_exit(kExecFailed);
}

bool die_with_parent(int parent_pid) {
  // The parent may have died before the request: then nothing would tell us.
  return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent_pid;
}

}  // namespace holdfast::node
