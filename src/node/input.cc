#include "node/input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace holdfast::node {
namespace {

constexpr std::size_t kReadSize = 256U << 10;

}  // namespace

Result<Input> Input::open(const std::string& path, location::Ring& ring) {
  Input input;
  input.name_ = path == "-" ? "standard input" : path;
  input.file_ = location::UniqueFd(path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!input.file_ || ::fstat(input.file_.get(), &status) != 0) return std::unexpected(input.error(errno));
  if (S_ISDIR(status.st_mode)) return std::unexpected(input.error(EISDIR));
  if (S_ISREG(status.st_mode)) {
    // Somebody may have read a part of it before.
    const off_t at = ::lseek(input.file_.get(), 0, SEEK_CUR);
    if (at < 0) return std::unexpected(input.error(errno));
    input.file_end_ = status.st_size;
    input.size_ = static_cast<std::uint64_t>(std::max<off_t>(0, status.st_size - at));
  } else {
    input.readable_ = std::make_unique<location::Readiness>(ring, input.file_.get(), POLLIN);
  }
  input.buffer_.resize(kReadSize);
  return input;
}

Result<Bytes> Input::look() {
  if (ahead().empty() && !at_end_) {
    if (auto read = read_on(); !read) return std::unexpected(read.error());
  }
  return ahead();
}

Result<void> Input::read_on() {
  begin_ = end_ = 0;
  if (readable_) {
    if (!ready_) ready_ = readable_->take();
    readable_->arm();
    if (!ready_) return {};
  }
  ready_ = false;
  const auto size = ::read(file_.get(), buffer_.data(), buffer_.size());
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR) return {};
    return std::unexpected(error(errno));
  }
  end_ = static_cast<std::size_t>(size);
  at_end_ = size == 0;
  return at_end_ && size_ ? check_not_shorter() : Result<void>{};
}

// The size that the file system tells, not what could be read: /proc and /sys hold less than they say.
Result<void> Input::check_not_shorter() const {
  struct stat status{};
  if (::fstat(file_.get(), &status) != 0) return std::unexpected(error(errno));
  if (status.st_size >= file_end_) return {};
  return fail(Error::Kind::kIo, fmt::format("{} became shorter while it was sent, {} bytes instead of {}", name_,
                                            status.st_size, file_end_));
}

Error Input::error(int number) const {
  return {Error::Kind::kUnavailable, fmt::format("can't read {}: {}: check FILE", name_, std::strerror(number))};
}

}  // namespace holdfast::node
