// The bytes that a command is to send: a file, or a pipe that need not have any yet.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "location/ring.h"
#include "location/unique_fd.h"

namespace holdfast::node {

class Input {
 public:
  // "-" is standard input. The ring is woken when a pipe has something that look() did not find.
  static Result<Input> open(const std::string& path, location::Ring& ring);

  const std::string& name() const { return name_; }
  // Bytes in all, as the file system tells; nothing of a pipe.
  std::optional<std::uint64_t> size() const { return size_; }
  // Nothing is left.
  bool at_end() const { return at_end_ && ahead().empty(); }

  // What comes next, without taking it; empty when there is nothing now, or at the end. Valid until the next call.
  Result<Bytes> look();
  void take(std::size_t count) { begin_ += count; }  // at most what look() showed

 private:
  Bytes ahead() const { return Bytes(buffer_).subspan(begin_, end_ - begin_); }
  Result<void> read_on();
  Result<void> check_not_shorter() const;
  Error error(int number) const;

  std::string name_;
  location::UniqueFd file_;
  std::optional<std::uint64_t> size_;
  off_t file_end_ = 0;                             // of a regular file, when it was opened
  std::unique_ptr<location::Readiness> readable_;  // null for a regular file
  bool ready_ = false;
  bool at_end_ = false;  // of the file; the buffer may hold more
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace holdfast::node
