// Makes segments: files written with zeros whole and made durable before their first use, one after the other, in the
// background and without ever blocking.
//
// Why zeros and not fallocate() alone: the first write into an allocated but unwritten extent must record in the file
// system's journal that it is written now, and a synchronous write would wait for that each time. fallocate() comes
// first all the same: it finds out at once that there is no room, and makes the file contiguous.
//
// The file is born under a preparing- name and gets its segment name last, so that a segment file is always whole. Its
// descriptor is locked before that (writer_lock.h) and is the one that the log will write through.
//
// Zeros share the device with the log's writes, and its write cache: each flush that a log write waits for takes the
// zeros written before along. So while the log writes, zeros follow it at twice its rate (enough to stay ahead), or at
// a trickle, one piece at a time; while it does not, they go as fast as they can.
//
// Threads: the ring's.
#pragma once

#include <array>
#include <deque>
#include <optional>

#include "location/files.h"
#include "location/location.h"
#include "location/ring.h"
#include "location/unique_fd.h"

namespace holdfast::location {

class Preparation final : private Ring::Handler {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // `fd` is open for writing and locked, unless there is an error; then nothing is left behind.
    virtual void prepared(Token token, SegmentNumber segment, UniqueFd fd, std::optional<Error> error) = 0;
    // The log's writes: whether any is in flight, and bytes begun in all.
    virtual bool busy() const = 0;
    virtual std::uint64_t bytes_begun() const = 0;
  };

  Preparation(Owner& owner, Ring& ring, const Files& files);
  // Ends what is under way, removing its file; blocks until the kernel has let go of it.
  ~Preparation() override;
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  void set_direct(bool direct) { direct_ = direct; }
  void prepare(Token token, SegmentNumber segment, std::uint64_t size);
  // A write of the log's has ended: there may be a share for zeros.
  void log_progressed() {
    if (pausing_ && stage_ == Stage::kFill) fill();
  }

 private:
  enum class Stage : std::uint8_t {
    kIdle,
    kOpen,
    kAllocate,
    kFill,
    kSync,
    kRename,
    kSyncDirectory,
    kClose,   // after a failure
    kUnlink,  // after a failure
  };
  struct Request {
    Token token;
    SegmentNumber segment;
    std::uint64_t size;
  };
  struct Piece {
    std::uint64_t offset = 0;
    std::uint32_t length = 0;  // 0: not in flight
  };
  static constexpr std::size_t kMaxPieces = 2;

  void on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t flags) override;
  void begin_next();
  void opened(std::int32_t result);
  void allocated(std::int32_t result);
  void fill();
  bool log_is_active();
  std::uint32_t next_piece(std::size_t in_flight);
  void pause();
  void write_piece(std::size_t index);
  void piece_written(std::size_t index, std::int32_t result);
  void renamed(std::int32_t result);
  void fail_with(const char* what, int error);
  void clean_up();
  void finish();
  template <class Prepare>
  void next(Stage stage, Prepare&& prepare);

  Owner& owner_;
  Ring& ring_;
  const Files& files_;
  const Ring::User user_;
  bool direct_ = true;
  bool stopping_ = false;

  std::deque<Request> queue_;  // the first is under way, unless kIdle
  Stage stage_ = Stage::kIdle;
  std::string temporary_, name_;
  const std::string* on_disk_ = nullptr;  // the name that the file has now
  UniqueFd fd_;
  std::uint64_t filled_ = 0;  // bytes whose writing was begun
  std::array<Piece, kMaxPieces> pieces_{};
  unsigned rename_flags_ = 0;

  std::uint64_t log_seen_ = 0;  // the log's bytes that are accounted for
  std::uint64_t log_at_pause_ = 0;
  bool log_active_ = false;
  std::uint64_t credit_ = 0;  // bytes of zeros that the log's writes have earned
  bool pausing_ = false;      // a timer is running
  bool paused_ = false;       // it ran out: one piece, whatever the log does
  std::optional<Error> error_;
};

}  // namespace holdfast::location
