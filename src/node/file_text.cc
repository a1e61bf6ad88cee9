#include "node/file_text.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "location/unique_fd.h"

namespace holdfast::node {

Result<std::string> read_text(const std::string& path) {
  const location::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return fail(Error::Kind::kUsage, fmt::format("can't read {}: {}: check --config", path, std::strerror(errno)));
  }
  return read_text(file.get(), path);
}

Result<std::string> read_text(int fd, const std::string& name) {
  std::string text;
  char piece[4096];
  for (;;) {
    const auto size = ::pread(fd, piece, sizeof piece, static_cast<off_t>(text.size()));
    if (size < 0) return fail(Error::Kind::kUsage, fmt::format("can't read {}: {}", name, std::strerror(errno)));
    if (size == 0) return text;
    text.append(piece, static_cast<std::size_t>(size));
    if (text.size() > kMaxTextFile) {
      return fail(Error::Kind::kUsage, fmt::format("{}: is larger than {} bytes", name, kMaxTextFile));
    }
  }
}

}  // namespace holdfast::node
