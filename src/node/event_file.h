// What happens to a node, for machines: one JSON object a line, appended to a file.
//
//   {"time":"2026-11-23T08:31:00.123456Z","unix_ns":1795422660123456789,"event":"recovered","pid":4711,"connections":1,"ms":12.5}
//
// Threads: one owner thread; several processes may append to one file (each line is one write).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "location/unique_fd.h"

namespace holdfast::node {

class EventFile {
 public:
  // An empty path: events go nowhere.
  static Result<EventFile> open(const std::string& path);

  // A descriptor that was inherited, of which it becomes the owner.
  static EventFile adopt(int fd);

  // A field's value is JSON already: a number, or quoted by json_string().
  using Fields = std::vector<std::pair<std::string, std::string>>;
  void write(const std::string& event, const Fields& fields = {}) const;
  // One that another process has written, as one JSON object, and a field more.
  void pass_on(std::string_view object, const std::string& name, const std::string& value) const;

 private:
  location::UniqueFd file_;
};

std::string json_string(const std::string& text);

// Nanoseconds since 1970.
std::uint64_t wall_clock_now();

}  // namespace holdfast::node
