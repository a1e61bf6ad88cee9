#include "location/writer_lock.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <thread>

#include "base/mutant.h"
#include "location/layout.h"
#include "location/os_error.h"

namespace holdfast::location {
namespace {

constexpr auto kRetryInterval = std::chrono::milliseconds(5);

// 0, or an errno value: EWOULDBLOCK when the time is up.
int lock_within(int fd, std::chrono::steady_clock::time_point until) {
  for (;;) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK && errno != EINTR) return errno;
    if (std::chrono::steady_clock::now() >= until) return EWOULDBLOCK;
    std::this_thread::sleep_for(kRetryInterval);
  }
}

std::chrono::steady_clock::time_point deadline_after(Duration bound) {
  return std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(bound);
}

// What the holder wrote into the lock file; 0 where nothing sensible is there.
long holder(int lock_fd) {
  std::array<char, 24> text{};
  const auto count = ::pread(lock_fd, text.data(), text.size(), 0);
  long pid = 0;
  if (count > 0) std::from_chars(text.data(), text.data() + count, pid);
  return pid;
}

}  // namespace

bool lock_descriptor(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0; }

Result<UniqueFd> lock_directory(const Files& files, Duration bound) {
  const std::string path = files.path_of(kLockFile);
  UniqueFd file(::openat(files.fd(), kLockFile, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!file) return os_fail(path, "create", errno);
  const int error = lock_within(file.get(), deadline_after(bound));
  if (error == EWOULDBLOCK) {
    const long pid = holder(file.get());
    const std::string who = pid > 0 ? fmt::format("process {}", pid) : std::string("another process");
    return fail(Error::Kind::kBusy,
                fmt::format("{}: in use by {}: stop it or choose another place", files.path(), who));
  }
  if (error != 0) return os_fail(path, "lock", error);
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(file.get(), 0) != 0) return os_fail(path, "write", errno);
  const int written = write_fully(file.get(), 0, std::as_bytes(std::span(pid)));
  // A full disk must not keep a node from starting: it can still serve what is stored.
  if (written != 0 && written != ENOSPC && written != EDQUOT) return os_fail(path, "write", written);
  return file;
}

bool is_locked(const Files& files) {
  const UniqueFd file(::openat(files.fd(), kLockFile, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  // Whoever writes has made it first; a directory that was copied from elsewhere may lack it.
  if (!file) return errno != ENOENT;
  return ::flock(file.get(), LOCK_SH | LOCK_NB) != 0;  // ends with the descriptor, at once
}

Result<void> await_former_writers(const Files& files, Duration bound) {
  if (HF_MUTANT(kLockAnotherFile)) return {};
  const auto until = deadline_after(bound);
  const auto segments = files.segments();
  if (!segments) return std::unexpected(segments.error());
  for (const SegmentInfo& segment : *segments) {
    const std::string name = segment_file(segment.number);
    const UniqueFd file(::openat(files.fd(), name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return os_fail(files.path_of(name), "open", errno);
    const int error = lock_within(file.get(), until);
    if (error == EWOULDBLOCK) {
      return fail(Error::Kind::kUnavailable,
                  fmt::format("{}: writes of a former process are still on their way: is the device stalled? try again",
                              files.path_of(name)));
    }
    if (error != 0) return os_fail(files.path_of(name), "lock", error);
  }
  return {};
}

}  // namespace holdfast::location
