#include "location/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "location/layout.h"
#include "location/os_error.h"

namespace holdfast::location {
namespace {

// A blob is a small thing; a larger file under a blob's name is not ours.
constexpr std::uint64_t kMaxBlob = 64ULL << 20;
// One system call moves less than 2 GiB.
constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;
// Whatever lies under a name of ours: a FIFO must not make us wait for a writer.
constexpr int kForReading = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

Result<void> check_blob_name(const std::string& path, const std::string& blob) {
  if (is_blob_name(blob)) return {};
  return fail(Error::Kind::kUsage, fmt::format("{}: '{}' is no name for a blob", path, blob));
}

}  // namespace

int read_fully(int fd, std::uint64_t offset, MutableBytes into) {
  while (!into.empty()) {
    const auto count = ::pread(fd, into.data(), std::min(into.size(), kMaxTransfer), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return ENODATA;
    into = into.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return 0;
}

int write_fully(int fd, std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const auto count = ::pwrite(fd, bytes.data(), std::min(bytes.size(), kMaxTransfer), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return EIO;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return 0;
}

Result<Files> Files::open(std::string path) {
  if (path.empty()) return fail(Error::Kind::kUsage, "the path of a location is empty: give --data a directory");
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    if (errno == ENOENT) {
      return fail(Error::Kind::kUnavailable, fmt::format("{}: does not exist: create it or check --data", path));
    }
    if (errno == ENOTDIR) {
      return fail(Error::Kind::kUnavailable, fmt::format("{}: is not a directory: check --data", path));
    }
    return os_fail(path, "open", errno);
  }
  return Files(std::move(path), std::move(directory));
}

Result<std::vector<std::string>> Files::list() const {
  // Its own description: reading a directory moves a position.
  const int own = ::openat(fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) return os_fail(path_, "list", errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(own), &::closedir);
  if (!directory) {
    const int error = errno;
    ::close(own);
    return os_fail(path_, "list", error);
  }
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    names.emplace_back(entry->d_name);
  }
  if (errno != 0) return os_fail(path_, "list", errno);
  std::ranges::sort(names);
  return names;
}

Result<std::vector<SegmentInfo>> Files::segments() const {
  auto names = list();
  if (!names) return std::unexpected(names.error());
  std::vector<SegmentInfo> found;
  for (const std::string& name : *names) {
    const auto number = parse_segment_file(name);
    if (!number) continue;
    struct stat status{};
    if (::fstatat(fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // removed or recycled meanwhile: a reader races with the writer
      return os_fail(path_of(name), "look at", errno);
    }
    if (!S_ISREG(status.st_mode)) continue;
    found.push_back({*number, static_cast<std::uint64_t>(status.st_size)});
  }
  return found;
}

Result<void> Files::read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) const {
  const std::string name = segment_file(segment);
  const UniqueFd file(::openat(fd(), name.c_str(), kForReading));
  if (!file) return os_fail(path_of(name), "open", errno);
  const int error = read_fully(file.get(), offset, into);
  if (error == ENODATA) {
    return fail(Error::Kind::kIo, fmt::format("{}: cannot read {} bytes at {}: the file ends before", path_of(name),
                                              into.size(), offset));
  }
  if (error != 0) return os_fail(path_of(name), fmt::format("read {} bytes at {}", into.size(), offset), error);
  return {};
}

Result<std::vector<std::string>> Files::blobs() const {
  auto names = list();
  if (!names) return std::unexpected(names.error());
  std::vector<std::string> found;
  for (const std::string& name : *names) {
    if (auto blob = parse_blob_file(name)) found.push_back(std::move(*blob));
  }
  return found;
}

Result<std::optional<std::vector<std::byte>>> Files::read_blob(const std::string& blob) const {
  if (auto valid = check_blob_name(path_, blob); !valid) return std::unexpected(valid.error());
  const std::string name = blob_file(blob);
  const UniqueFd file(::openat(fd(), name.c_str(), kForReading));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) return os_fail(path_of(name), "open", errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return os_fail(path_of(name), "look at", errno);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (!S_ISREG(status.st_mode) || size > kMaxBlob) {
    return fail(Error::Kind::kIncompatible, fmt::format("{}: is no blob of ours: {} bytes", path_of(name), size));
  }
  std::vector<std::byte> content(size);
  const int error = read_fully(file.get(), 0, content);
  if (error != 0) return os_fail(path_of(name), "read", error);
  return content;
}

// The blob's former content stays under the temporary name: the next write overwrites it, and so needs no room, which a
// full disk has not got. (A node that can't store its promise can't start.)
Result<void> Files::write_blob(const std::string& blob, Bytes content) const {
  if (auto valid = check_blob_name(path_, blob); !valid) return valid;
  // A process that was killed may have exchanged the two names without having made that durable: then the spare that is
  // about to be overwritten is what a power failure would bring back.
  if (!exchanges_are_durable_) {
    if (auto synced = sync(); !synced) return synced;
  }
  const std::string temporary = blob_temporary_file(blob);
  const std::string name = blob_file(blob);
  if (const int error = write_temporary(temporary, content); error != 0) return os_fail(path_of(name), "write", error);
  bool spare = ::renameat2(fd(), temporary.c_str(), fd(), name.c_str(), RENAME_EXCHANGE) == 0;
  if (!spare && ::renameat(fd(), temporary.c_str(), fd(), name.c_str()) != 0) {
    const int error = errno;
    ::unlinkat(fd(), temporary.c_str(), 0);
    return os_fail(path_of(name), "write", error);
  }
  exchanges_are_durable_ = false;
  if (auto synced = sync(); !synced) return synced;
  if (!spare) write_temporary(temporary, content);  // where there is no room any more there is none to be had
  return {};
}

// 0, or an errno value: then no new file is left, and a spare that was there has some other content.
int Files::write_temporary(const std::string& name, Bytes content) const {
  UniqueFd file(::openat(fd(), name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!file) return errno;
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return errno;
  int error = write_fully(file.get(), 0, content);
  if (error == 0 && ::ftruncate(file.get(), static_cast<off_t>(content.size())) != 0) error = errno;
  if (error == 0 && ::fsync(file.get()) != 0) error = errno;
  if (error != 0 && status.st_size == 0) ::unlinkat(fd(), name.c_str(), 0);
  return error;
}

Result<void> Files::remove_blob(const std::string& blob) const {
  if (auto valid = check_blob_name(path_, blob); !valid) return valid;
  for (const std::string& name : {blob_file(blob), blob_temporary_file(blob)}) {
    if (::unlinkat(fd(), name.c_str(), 0) != 0 && errno != ENOENT) return os_fail(path_of(name), "remove", errno);
  }
  return sync();
}

Result<std::optional<std::string>> Files::foreign() const {
  auto names = list();
  if (!names) return std::unexpected(names.error());
  for (std::string& name : *names) {
    if (!is_ours(name) && name != "." && name != ".." && name != "lost+found") return std::move(name);
  }
  return std::nullopt;
}

Result<void> Files::remove_leftovers() const {
  auto names = list();
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    if (!is_leftover(name)) continue;
    if (::unlinkat(fd(), name.c_str(), 0) != 0 && errno != ENOENT) return os_fail(path_of(name), "remove", errno);
  }
  return {};
}

Result<void> Files::sync() const {
  if (::fsync(fd()) != 0) return os_fail(path_, "sync", errno);
  exchanges_are_durable_ = true;
  return {};
}

}  // namespace holdfast::location
