#include "peers/block_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "common/socket.h"

namespace holdfast::bench {
namespace {

constexpr std::size_t kAlignment = 4096;

std::size_t round_up(std::size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

template <class T>
void store(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

std::byte* allocate_zeroed(std::size_t bytes) {
  void* memory = std::aligned_alloc(kAlignment, bytes);
  if (memory == nullptr) die("out of memory");
  return static_cast<std::byte*>(std::memset(memory, 0, bytes));
}

}  // namespace

int create_written_file(const std::string& path, std::uint64_t bytes, int extra_flags) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_DIRECT, 0600);
  if (fd < 0) die_errno(path);
  constexpr std::size_t kPiece = 1U << 20;
  std::byte* zeros = allocate_zeroed(kPiece);
  for (std::uint64_t at = 0; at < bytes; at += kPiece) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, bytes - at));
    if (::pwrite(fd, zeros, piece, static_cast<off_t>(at)) != static_cast<ssize_t>(piece)) die_errno(path);
  }
  std::free(zeros);
  if (::fsync(fd) != 0) die_errno(path);
  ::close(fd);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_DIRECT | extra_flags);
  if (file < 0) die_errno(path);
  return file;
}

BlockLog::BlockLog(const Config& config)
    : file_bytes_(config.file_bytes), block_bytes_(config.block_bytes), depth_(config.depth) {
  if (block_bytes_ % kAlignment != 0 || file_bytes_ % kAlignment != 0 || depth_ == 0 ||
      file_bytes_ < block_bytes_ * (depth_ + 1)) {
    die("block and file size must be multiples of 4096, and the file must hold all blocks in flight");
  }
  file_ = create_written_file(config.path, file_bytes_, O_DSYNC);
  buffers_ = allocate_zeroed(block_bytes_ * (depth_ + 1));
  for (unsigned i = 1; i <= depth_; ++i) free_.push_back(i);

  if (const int error = ::io_uring_queue_init(2 * depth_, &ring_, 0); error < 0) {
    errno = -error;
    die_errno("io_uring_queue_init");
  }
  const iovec all{buffers_, block_bytes_ * (depth_ + 1)};
  if (const int error = ::io_uring_register_buffers(&ring_, &all, 1); error < 0) {
    errno = -error;
    die_errno("io_uring_register_buffers (ulimit -l?)");
  }
  if (const int error = ::io_uring_register_files(&ring_, &file_, 1); error < 0) {
    errno = -error;
    die_errno("io_uring_register_files");
  }
}

BlockLog::~BlockLog() {
  ::io_uring_queue_exit(&ring_);
  ::close(file_);
  std::free(buffers_);
}

std::span<std::byte> BlockLog::room(std::size_t at_least) {
  if (block_bytes_ - used_ < kRecordHeader + at_least) submit();
  const std::size_t start = used_ + kRecordHeader;
  return {buffer(current_) + start, block_bytes_ - start};
}

std::uint64_t BlockLog::append(std::uint64_t connection, std::size_t bytes) {
  std::byte* record = buffer(current_) + used_;
  store(record, connection);
  store(record + 8, static_cast<std::uint64_t>(bytes));
  used_ += kRecordHeader + bytes;
  return number_;
}

void BlockLog::submit() {
  if (empty()) return;
  while (!can_submit() || free_.empty()) reap(true);

  std::byte* block = buffer(current_);
  store(block, number_);
  store(block + 8, static_cast<std::uint64_t>(used_));
  const std::size_t length = round_up(used_);
  std::memset(block + used_, 0, length - used_);
  if (offset_ + length > file_bytes_) offset_ = 0;

  io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
  if (sqe == nullptr) die("the submission queue is full");
  ::io_uring_prep_write_fixed(sqe, 0, block, static_cast<unsigned>(length), offset_, 0);
  sqe->flags |= IOSQE_FIXED_FILE;
  ::io_uring_sqe_set_data64(sqe, number_);
  if (const int n = ::io_uring_submit(&ring_); n != 1) die(fmt::format("io_uring_submit: {}", n));

  in_flight_.push_back({number_, current_, static_cast<unsigned>(length), false});
  offset_ += length;
  ++number_;
  current_ = free_.back();
  free_.pop_back();
  used_ = kBlockHeader;
}

void BlockLog::reap(bool wait) {
  io_uring_cqe* cqe = nullptr;
  if (wait) {
    while (::io_uring_wait_cqe(&ring_, &cqe) == -EINTR) continue;
  }
  while (::io_uring_peek_cqe(&ring_, &cqe) == 0) {
    const std::uint64_t number = ::io_uring_cqe_get_data64(cqe);
    InFlight& write = in_flight_[number - in_flight_.front().number];
    if (cqe->res != static_cast<int>(write.length)) {
      errno = cqe->res < 0 ? -cqe->res : EIO;
      die_errno("write to the log");
    }
    write.done = true;
    free_.push_back(write.buffer);
    ::io_uring_cqe_seen(&ring_, cqe);
    // Blocks may complete in any order; stored is what has no hole below it.
    while (!in_flight_.empty() && in_flight_.front().done) {
      durable_ = in_flight_.front().number;
      in_flight_.pop_front();
    }
  }
}

}  // namespace holdfast::bench
