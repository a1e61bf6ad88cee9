#include "location/preparation.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/fs.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "location/layout.h"
#include "location/os_error.h"
#include "location/writer_lock.h"

namespace holdfast::location {
namespace {

constexpr std::uint32_t kPiece = 1U << 20;
constexpr std::uint32_t kSmallPiece = 256U << 10;
constexpr std::uint64_t kMaxCredit = 4ULL << 20;
// The trickle beside a log that writes little: a small piece each time, 13 MB/s.
constexpr __kernel_timespec kPause = {.tv_sec = 0, .tv_nsec = 20'000'000};
constexpr std::uint64_t kPauseTag = 1000;  // pieces' tags are their indexes
// Only ever read, by the device.
alignas(kBlock) std::byte zeros[kPiece];

// Best effort, last in its class (ioprio_set(2)): behind the log's writes where the device's scheduler looks at it.
// Spelt out because <linux/ioprio.h> does not compile as C++.
constexpr std::uint16_t kLowPriority = (2U << 13) | 7U;

}  // namespace

Preparation::Preparation(Owner& owner, Ring& ring, const Files& files)
    : owner_(owner), ring_(ring), files_(files), user_(ring.add(*this)) {}

Preparation::~Preparation() {
  stopping_ = true;
  while (ring_.outstanding(user_) > 0) ring_.wait(Duration::max());
  ring_.remove(user_);
}

void Preparation::prepare(Token token, SegmentNumber segment, std::uint64_t size) {
  HF_ASSERT(size > 0 && size % kBlock == 0);
  queue_.push_back({token, segment, size});
  if (stage_ == Stage::kIdle) begin_next();
}

template <class Prepare>
void Preparation::next(Stage stage, Prepare&& prepare) {
  stage_ = stage;
  ring_.queue(user_, 0, std::forward<Prepare>(prepare));
}

void Preparation::begin_next() {
  if (queue_.empty() || stopping_) {
    stage_ = Stage::kIdle;
    return;
  }
  temporary_ = preparing_file(queue_.front().segment);
  name_ = segment_file(queue_.front().segment);
  on_disk_ = nullptr;
  filled_ = 0;
  rename_flags_ = RENAME_NOREPLACE;
  error_.reset();
  next(Stage::kOpen, [this](io_uring_sqe* sqe) {
    const int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | (direct_ ? O_DIRECT : 0);
    io_uring_prep_openat(sqe, files_.fd(), temporary_.c_str(), flags, 0600);
  });
}

void Preparation::on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t /*flags*/) {
  if (tag == kPauseTag) {
    pausing_ = false;
    paused_ = true;
    if (!owner_.busy() && owner_.bytes_begun() == log_at_pause_) log_active_ = false;
    if (stage_ == Stage::kFill) fill();
    return;
  }
  switch (stage_) {
    case Stage::kOpen:
      return opened(result);
    case Stage::kAllocate:
      return allocated(result);
    case Stage::kFill:
      return piece_written(tag, result);
    case Stage::kSync:
      if (result < 0) return fail_with("sync", -result);
      return next(Stage::kRename, [this](io_uring_sqe* sqe) {
        io_uring_prep_renameat(sqe, files_.fd(), temporary_.c_str(), files_.fd(), name_.c_str(), rename_flags_);
      });
    case Stage::kRename:
      return renamed(result);
    case Stage::kSyncDirectory:
      if (result < 0) return fail_with("sync the directory of", -result);
      return finish();
    case Stage::kClose:
      return next(Stage::kUnlink,
                  [this](io_uring_sqe* sqe) { io_uring_prep_unlinkat(sqe, files_.fd(), on_disk_->c_str(), 0); });
    case Stage::kUnlink:
      return finish();
    case Stage::kIdle:
      HF_ASSERT(false);
  }
}

void Preparation::opened(std::int32_t result) {
  if (result < 0) return fail_with("create", -result);
  fd_.reset(result);
  on_disk_ = &temporary_;
  if (!lock_descriptor(fd_.get())) return fail_with("lock", EWOULDBLOCK);
  next(Stage::kAllocate, [this](io_uring_sqe* sqe) {
    io_uring_prep_fallocate(sqe, fd_.get(), 0, 0, static_cast<off_t>(queue_.front().size));
  });
}

void Preparation::allocated(std::int32_t result) {
  if (result < 0 && result != -EOPNOTSUPP) return fail_with("allocate", -result);
  stage_ = Stage::kFill;
  fill();
}

// Begins as many pieces as the device may bear now; once all are written, goes on.
void Preparation::fill() {
  const std::uint64_t size = queue_.front().size;
  auto in_flight =
      static_cast<std::size_t>(std::ranges::count_if(pieces_, [](const Piece& piece) { return piece.length > 0; }));
  for (std::size_t i = 0; i < kMaxPieces && filled_ < size && !error_ && !stopping_; ++i) {
    if (pieces_[i].length > 0) continue;
    const std::uint32_t length = next_piece(in_flight);
    if (length == 0) return;
    pieces_[i] = {filled_, static_cast<std::uint32_t>(std::min<std::uint64_t>(length, size - filled_))};
    filled_ += pieces_[i].length;
    ++in_flight;
    write_piece(i);
  }
  if (in_flight > 0) return;
  if (error_ || stopping_) return clean_up();
  next(Stage::kSync, [this](io_uring_sqe* sqe) { io_uring_prep_fsync(sqe, fd_.get(), 0); });
}

// Active from its next write on, until it has written nothing for a whole pause: between two writes it only looks idle.
// Counts what it has earned for zeros: a quarter more than its own bytes.
bool Preparation::log_is_active() {
  const std::uint64_t begun = owner_.bytes_begun();
  if (owner_.busy() || begun != log_seen_) log_active_ = true;
  credit_ = std::min(credit_ + (begun - log_seen_) * 5 / 4, kMaxCredit);
  log_seen_ = begun;
  return log_active_;
}

// How long a piece may follow now; 0: none yet.
std::uint32_t Preparation::next_piece(std::size_t in_flight) {
  if (!log_is_active()) return kPiece;
  if (in_flight > 0) return 0;
  if (credit_ < kSmallPiece && !paused_) {
    pause();
    return 0;
  }
  paused_ = false;
  const auto length = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(credit_, kSmallPiece, kPiece));
  credit_ -= std::min<std::uint64_t>(credit_, length);
  return length - length % static_cast<std::uint32_t>(kBlock);
}

void Preparation::pause() {
  if (pausing_) return;
  pausing_ = true;
  log_at_pause_ = owner_.bytes_begun();
  ring_.queue(user_, kPauseTag,
              [](io_uring_sqe* sqe) { io_uring_prep_timeout(sqe, const_cast<__kernel_timespec*>(&kPause), 0, 0); });
}

void Preparation::write_piece(std::size_t index) {
  const Piece& piece = pieces_[index];
  ring_.queue(user_, index, [&](io_uring_sqe* sqe) {
    io_uring_prep_write(sqe, fd_.get(), zeros, piece.length, piece.offset);
    sqe->ioprio = kLowPriority;
  });
}

void Preparation::piece_written(std::size_t index, std::int32_t result) {
  Piece& piece = pieces_[index];
  const auto written = static_cast<std::uint32_t>(std::max(result, 0));
  if (written > 0 && written < piece.length) {
    piece.offset += written;
    piece.length -= written;
    return write_piece(index);
  }
  piece.length = 0;
  if (result <= 0 && !error_) {
    error_ = os_error(files_.path_of(temporary_), "write zeros to", result == 0 ? EIO : -result);
  }
  fill();
}

void Preparation::renamed(std::int32_t result) {
  if (result == -EINVAL && rename_flags_ != 0) {  // a file system without RENAME_NOREPLACE
    rename_flags_ = 0;
    return next(Stage::kRename, [this](io_uring_sqe* sqe) {
      io_uring_prep_renameat(sqe, files_.fd(), temporary_.c_str(), files_.fd(), name_.c_str(), 0);
    });
  }
  if (result < 0) return fail_with("rename into place", -result);
  on_disk_ = &name_;
  next(Stage::kSyncDirectory, [this](io_uring_sqe* sqe) { io_uring_prep_fsync(sqe, files_.fd(), 0); });
}

void Preparation::fail_with(const char* what, int error) {
  error_ = os_error(files_.path_of(name_), what, error);
  clean_up();
}

void Preparation::clean_up() {
  if (on_disk_ == nullptr) return finish();
  // Closed by the ring too: giving back the blocks takes time.
  next(Stage::kClose, [this](io_uring_sqe* sqe) { io_uring_prep_close(sqe, fd_.release()); });
}

void Preparation::finish() {
  const Request request = queue_.front();
  queue_.pop_front();
  owner_.prepared(request.token, request.segment, std::move(fd_), std::exchange(error_, std::nullopt));
  begin_next();
}

}  // namespace holdfast::location
