#include "node/output.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace holdfast::node {

Result<bool> write_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EPIPE) return false;
    if (errno == EAGAIN) {
      pollfd source{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&source, 1, -1);
    } else if (errno != EINTR) {
      return fail(Error::Kind::kIo, fmt::format("can't write the output: {}", std::strerror(errno)));
    }
  }
  return true;
}

Result<bool> write_all(int fd, std::string_view text) { return write_all(fd, std::as_bytes(std::span(text))); }

int report(const Error& error) {
  std::string line = "holdfast: " + error.message;
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  line += '\n';
  // Where standard error is gone too, the exit status still tells.
  if (!write_all(STDERR_FILENO, line)) return kExitFailed;
  return error.kind == Error::Kind::kUsage ? kExitUsage : kExitFailed;
}

}  // namespace holdfast::node
