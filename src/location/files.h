// Blocking access to what lies in a location's directory: what recovery, readers and small rare changes need.
// The writer's asynchronous operations are in directory.h.
//
// Threads: the object may be used from one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "location/location.h"
#include "location/unique_fd.h"

namespace holdfast::location {

class Files {
 public:
  // Never creates anything. `path` must be a directory.
  static Result<Files> open(std::string path);

  const std::string& path() const { return path_; }
  int fd() const { return directory_.get(); }

  // In rising order.
  Result<std::vector<SegmentInfo>> segments() const;
  Result<void> read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) const;
  Result<std::vector<std::string>> blobs() const;  // in rising order
  Result<std::optional<std::vector<std::byte>>> read_blob(const std::string& blob) const;

  // A name in here that is none of ours; a file system's lost+found is nobody's.
  Result<std::optional<std::string>> foreign() const;

  // Atomic and durable when they return. Replacing a blob by one of its size needs no room where the file system writes
  // in place.
  Result<void> write_blob(const std::string& blob, Bytes content) const;
  Result<void> remove_blob(const std::string& blob) const;

  // Removes what a process that died left behind (layout.h).
  Result<void> remove_leftovers() const;
  // Makes names durable.
  Result<void> sync() const;

  // For messages: the path of a file in here.
  std::string path_of(const std::string& file) const { return path_ + "/" + file; }

 private:
  Files(std::string path, UniqueFd directory) : path_(std::move(path)), directory_(std::move(directory)) {}
  Result<std::vector<std::string>> list() const;
  int write_temporary(const std::string& name, Bytes content) const;

  std::string path_;
  UniqueFd directory_;
  mutable bool exchanges_are_durable_ = false;  // of blobs with their spares, in earlier processes too
};

// Reads or writes all of it: a short count is tried again, the end of the file is an error. 0, or an errno value;
// ENODATA: the file ends before.
int read_fully(int fd, std::uint64_t offset, MutableBytes into);
int write_fully(int fd, std::uint64_t offset, Bytes bytes);

}  // namespace holdfast::location
