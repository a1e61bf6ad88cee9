// location::Location over a directory on a real file system: direct, synchronous writes through io_uring.
//
// - Segments are files written with zeros whole before their first use (preparation.h); a write into one changes no
//   metadata, so that O_DIRECT with RWF_DSYNC costs one write and one flush of the device (or none, with FUA).
// - Where the file system has no direct I/O, writes go through the page cache with RWF_DSYNC, and a warning says so.
// - One ring serves all locations of a shard, and the shard's own waits (ring.h). Operations are queued here and leave
//   with the ring's next submit, poll or wait.
// - Descriptors that segments are written through are locked (writer_lock.h). The kMaxIdle last used stay open; one is
//   closed only when nothing is in flight through it, so that a closed one has no write to come.
//   io_uring's registered files are not used on purpose: the ring would hold descriptors, and their locks, beyond that.
//
// Threads: one, the ring's.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "location/files.h"
#include "location/filesystem.h"
#include "location/location.h"
#include "location/name_changes.h"
#include "location/preparation.h"
#include "location/ring.h"

namespace holdfast::location {

class Directory final : public Location, private Ring::Handler, private Preparation::Owner, private NameChanges::Owner {
 public:
  static constexpr std::size_t kMaxIdle = 32;  // open segment files without a write in flight

  Directory(Files files, const FileSystem& file_system, Ring& ring);
  // Blocks until the kernel has let go of every buffer.
  ~Directory() override;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // What an operator should know about this place, one line each; complete after lock().
  const std::vector<std::string>& warnings() const { return warnings_; }
  const FileSystem& file_system() const { return file_system_; }
  // False where writes go through the page cache.
  bool direct() const { return direct_; }

  const std::string& name() const override { return files_.path(); }

  Result<void> lock(Duration bound) override;
  bool has_owner() const override;
  Result<std::vector<SegmentInfo>> segments() override { return files_.segments(); }
  Result<void> read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) override {
    return files_.read(segment, offset, into);
  }
  Result<std::optional<std::vector<std::byte>>> read_blob(const std::string& blob) override {
    return files_.read_blob(blob);
  }
  Result<std::vector<std::string>> blobs() override { return files_.blobs(); }
  Result<void> write_blob(const std::string& blob, Bytes content) override;
  Result<void> remove_blob(const std::string& blob) override;

  // The changing calls demand the lock.
  void expect_writes_from(MutableBytes memory) override;
  void write(Token token, SegmentNumber segment, std::uint64_t offset, Bytes bytes) override;
  void prepare(Token token, SegmentNumber segment, std::uint64_t size) override;
  void recycle(Token token, SegmentNumber from, SegmentNumber to) override;
  void remove(Token token, SegmentNumber segment) override;
  void replace_blob(Token token, const std::string& blob, Bytes content) override;

  std::size_t poll(std::span<Completion> out) override;
  std::size_t in_flight() const override { return in_flight_; }
  void wait() override;

 private:
  struct OpenSegment {
    UniqueFd fd;
    unsigned writes = 0;  // in flight
    std::uint64_t last_use = 0;
  };
  struct Write {
    Token token = 0;
    SegmentNumber segment;
    std::uint64_t offset = 0;
    Bytes left;
  };

  void on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t flags) override;
  void prepared(Token token, SegmentNumber segment, UniqueFd fd, std::optional<Error> error) override;
  bool busy() const override { return ring_.outstanding(user_) > 0; }
  std::uint64_t bytes_begun() const override { return bytes_begun_; }
  void name_changed(Token token, std::optional<Error> error) override { finish(token, std::move(error)); }

  void find_out_about_direct_io(int lock_fd);
  Result<OpenSegment*> open_for_writing(SegmentNumber segment);
  void remember(SegmentNumber segment, UniqueFd fd);
  void trim(SegmentNumber keep);
  void issue(std::size_t index);
  void finish(Token token, std::optional<Error> error);

  Files files_;
  FileSystem file_system_;
  std::vector<std::string> warnings_;
  UniqueFd lock_;
  bool direct_ = true;

  Ring& ring_;
  const Ring::User user_;

  std::map<std::uint64_t, OpenSegment> open_;
  std::uint64_t uses_ = 0;
  std::uint64_t bytes_begun_ = 0;  // of writes
  std::vector<Write> writes_;      // by tag
  std::vector<std::size_t> unused_writes_;
  std::deque<Completion> finished_;
  std::size_t in_flight_ = 0;

  // Last, so that they go first: they report to this object until they are gone.
  Preparation preparation_;
  NameChanges name_changes_;
};

// For the writer. `ring` must outlive the location. Neither creates nor locks anything yet.
Result<std::unique_ptr<Directory>> open_directory(const std::string& path, Ring& ring);

// For readers, beside a writer or without: never creates, locks or writes anything; calls that would are refused.
Result<std::unique_ptr<Location>> open_directory_for_reading(const std::string& path);

}  // namespace holdfast::location
