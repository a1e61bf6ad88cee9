#include "location/directory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "location/layout.h"
#include "location/os_error.h"
#include "location/writer_lock.h"

namespace holdfast::location {

Directory::Directory(Files files, const FileSystem& file_system, Ring& ring)
    : files_(std::move(files)),
      file_system_(file_system),
      warnings_(warnings_about(file_system, files_.path())),
      ring_(ring),
      user_(ring.add(*this)),
      preparation_(*this, ring, files_),
      name_changes_(*this, ring, files_) {
  constexpr std::size_t kExpectedWrites = 64;
  writes_.reserve(kExpectedWrites);
  unused_writes_.reserve(kExpectedWrites);
}

Directory::~Directory() {
  while (ring_.outstanding(user_) > 0) ring_.wait(Duration::max());
  ring_.remove(user_);
}

Result<std::unique_ptr<Directory>> open_directory(const std::string& path, Ring& ring) {
  auto files = Files::open(path);
  if (!files) return std::unexpected(files.error());
  auto file_system = inspect(*files);
  if (!file_system) return std::unexpected(file_system.error());
  return std::make_unique<Directory>(std::move(*files), *file_system, ring);
}

// ---- Before the log starts ----

Result<void> Directory::lock(Duration bound) {
  if (lock_) return {};
  // Before anything is created: a directory without a lock file was never a location.
  if (::faccessat(files_.fd(), kLockFile, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
    const auto foreign = files_.foreign();
    if (!foreign) return std::unexpected(foreign.error());
    if (*foreign) {
      return fail(Error::Kind::kIncompatible,
                  fmt::format("{}: holds something else ({}): is its disk mounted? Else give an empty directory",
                              files_.path(), **foreign));
    }
  }
  const auto start = std::chrono::steady_clock::now();
  auto lock = lock_directory(files_, bound);
  if (!lock) return std::unexpected(lock.error());
  const Duration left = bound - (std::chrono::steady_clock::now() - start);
  if (auto free = await_former_writers(files_, left); !free) return free;
  if (auto removed = files_.remove_leftovers(); !removed) return removed;
  find_out_about_direct_io(lock->get());
  // The process before may have died between a write and its flush, or between a rename and the directory's fsync. What
  // we read now would count as stored although a power loss could still take it. fsync() of a regular file flushes the
  // device.
  if (::fsync(lock->get()) != 0) return os_fail(files_.path_of(kLockFile), "sync", errno);
  if (auto synced = files_.sync(); !synced) return synced;
  if (!direct_) {
    const auto found = files_.segments();
    if (!found) return std::unexpected(found.error());
    for (const SegmentInfo& segment : *found) {
      const std::string name = segment_file(segment.number);
      const UniqueFd file(::openat(files_.fd(), name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
      if (!file || ::fdatasync(file.get()) != 0) return os_fail(files_.path_of(name), "sync", errno);
    }
  }
  lock_ = std::move(*lock);
  return {};
}

bool Directory::has_owner() const { return lock_ || is_locked(files_); }

// Tried on the lock file, so that nothing needs to be created for it.
void Directory::find_out_about_direct_io(int lock_fd) {
  const int flags = ::fcntl(lock_fd, F_GETFL);
  direct_ = flags >= 0 && ::fcntl(lock_fd, F_SETFL, flags | O_DIRECT) == 0;
  if (direct_) ::fcntl(lock_fd, F_SETFL, flags);
  preparation_.set_direct(direct_);
  if (direct_) return;
  warnings_.push_back(fmt::format(
      "{}: {} has no direct I/O: writes go through the page cache, which is slower; ext4 or xfs suit better",
      files_.path(), file_system_.type));
}

Result<void> Directory::write_blob(const std::string& blob, Bytes content) {
  HF_ASSERT(lock_);
  return files_.write_blob(blob, content);
}

Result<void> Directory::remove_blob(const std::string& blob) {
  HF_ASSERT(lock_);
  return files_.remove_blob(blob);
}

// ---- While the log runs ----

Result<Directory::OpenSegment*> Directory::open_for_writing(SegmentNumber segment) {
  const auto found = open_.find(segment.value);
  if (found != open_.end()) return &found->second;
  const std::string name = segment_file(segment);
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (direct_ ? O_DIRECT : 0);
  UniqueFd file(::openat(files_.fd(), name.c_str(), flags));
  if (!file) return os_fail(files_.path_of(name), "open", errno);
  if (!lock_descriptor(file.get())) return os_fail(files_.path_of(name), "lock", errno);
  remember(segment, std::move(file));
  return &open_.find(segment.value)->second;
}

void Directory::remember(SegmentNumber segment, UniqueFd fd) {
  open_[segment.value] = OpenSegment{std::move(fd), 0, ++uses_};
  trim(segment);
}

// Closes those that were idle for longest where there are too many.
void Directory::trim(SegmentNumber keep) {
  while (open_.size() > kMaxIdle) {
    auto oldest = open_.end();
    for (auto it = open_.begin(); it != open_.end(); ++it) {
      if (it->second.writes > 0 || it->first == keep.value) continue;
      if (oldest == open_.end() || it->second.last_use < oldest->second.last_use) oldest = it;
    }
    if (oldest == open_.end()) return;
    open_.erase(oldest);
  }
}

// Huge pages: one piece for the device instead of one a page, and as much less work to pin them. Where there are none
// the pages stay small, and nothing else changes.
void Directory::expect_writes_from(MutableBytes memory) {
  (void)::madvise(memory.data(), memory.size(), MADV_HUGEPAGE);
}

void Directory::write(Token token, SegmentNumber segment, std::uint64_t offset, Bytes bytes) {
  HF_ASSERT(lock_);
  HF_ASSERT(!bytes.empty() && bytes.size() % kBlock == 0 && offset % kBlock == 0 && bytes.size() <= (1U << 30));
  HF_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % kBlock == 0);
  ++in_flight_;
  const auto open = open_for_writing(segment);
  if (!open) return finish(token, open.error());
  ++(*open)->writes;
  (*open)->last_use = ++uses_;
  if (unused_writes_.empty()) {
    unused_writes_.push_back(writes_.size());
    writes_.emplace_back();
  }
  const std::size_t index = unused_writes_.back();
  unused_writes_.pop_back();
  writes_[index] = {token, segment, offset, bytes};
  bytes_begun_ += bytes.size();
  issue(index);
}

void Directory::issue(std::size_t index) {
  const Write& write = writes_[index];
  const int fd = open_.find(write.segment.value)->second.fd.get();
  ring_.queue(user_, index, [&](io_uring_sqe* sqe) {
    io_uring_prep_write(sqe, fd, write.left.data(), static_cast<unsigned>(write.left.size()), write.offset);
    sqe->rw_flags = RWF_DSYNC;
  });
}

void Directory::on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t /*flags*/) {
  Write& write = writes_[tag];
  const auto written = static_cast<std::size_t>(std::max(result, 0));
  // A short write is no failure yet: the rest follows, and fails for itself if it must.
  if (written > 0 && written < write.left.size() && written % kBlock == 0) {
    write.left = write.left.subspan(written);
    write.offset += written;
    return issue(tag);
  }
  std::optional<Error> error;
  if (written != write.left.size()) {
    error = os_error(files_.path_of(segment_file(write.segment)),
                     fmt::format("write {} bytes at {}", write.left.size(), write.offset), result < 0 ? -result : EIO);
  }
  --open_.find(write.segment.value)->second.writes;
  trim(write.segment);
  const Token token = write.token;
  write = {};
  unused_writes_.push_back(tag);
  finish(token, std::move(error));
  preparation_.log_progressed();
}

void Directory::prepare(Token token, SegmentNumber segment, std::uint64_t size) {
  HF_ASSERT(lock_);
  ++in_flight_;
  preparation_.prepare(token, segment, size);
}

void Directory::prepared(Token token, SegmentNumber segment, UniqueFd fd, std::optional<Error> error) {
  if (fd) remember(segment, std::move(fd));
  finish(token, std::move(error));
}

void Directory::recycle(Token token, SegmentNumber from, SegmentNumber to) {
  HF_ASSERT(lock_);
  ++in_flight_;
  // The descriptor goes; the first write under the new number opens and locks the file again.
  const auto found = open_.find(from.value);
  if (found != open_.end()) {
    HF_ASSERT(found->second.writes == 0);
    open_.erase(found);
  }
  name_changes_.rename(token, segment_file(from), segment_file(to));
}

void Directory::replace_blob(Token token, const std::string& blob, Bytes content) {
  ++in_flight_;
  auto written = write_blob(blob, content);
  finish(token, written ? std::nullopt : std::optional(std::move(written).error()));
}

void Directory::remove(Token token, SegmentNumber segment) {
  HF_ASSERT(lock_);
  ++in_flight_;
  const auto found = open_.find(segment.value);
  if (found != open_.end()) {
    HF_ASSERT(found->second.writes == 0);
    open_.erase(found);  // first, so that the ring's unlink gives back the blocks and not our close()
  }
  name_changes_.remove(token, segment_file(segment));
}

void Directory::finish(Token token, std::optional<Error> error) {
  finished_.push_back(Completion{token, std::move(error)});
}

std::size_t Directory::poll(std::span<Completion> out) {
  if (finished_.empty()) ring_.poll();
  std::size_t count = 0;
  for (; count < out.size() && !finished_.empty(); ++count) {
    out[count] = std::move(finished_.front());
    finished_.pop_front();
  }
  in_flight_ -= count;
  return count;
}

void Directory::wait() {
  if (finished_.empty() && in_flight_ > 0) ring_.wait(std::chrono::seconds(1));
}

}  // namespace holdfast::location
