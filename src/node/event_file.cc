#include "node/event_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "node/values.h"

namespace holdfast::node {

Result<EventFile> EventFile::open(const std::string& path) {
  EventFile events;
  if (path.empty()) return events;
  events.file_ = location::UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!events.file_) {
    return fail(Error::Kind::kUnavailable, fmt::format("can't write events: {}: {}: choose another file for --events",
                                                       path, std::strerror(errno)));
  }
  return events;
}

void EventFile::write(const std::string& event, const Fields& fields) const {
  if (!file_) return;
  const auto now = wall_clock_now();
  auto line = fmt::format(R"({{"time":"{}","unix_ns":{},"event":"{}","pid":{})", iso_time(now), now, event, ::getpid());
  for (const auto& [name, value] : fields) line += fmt::format(R"(,"{}":{})", name, value);
  line += "}\n";
  // A full disk must not stop the node: an event that can't be written is lost, the log line on standard error is not.
  if (::write(file_.get(), line.data(), line.size()) < 0) return;
}

EventFile EventFile::adopt(int fd) {
  EventFile events;
  events.file_ = location::UniqueFd(fd);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return events;
}

void EventFile::pass_on(std::string_view object, const std::string& name, const std::string& value) const {
  if (!file_ || !object.ends_with('}')) return;
  const auto line = fmt::format("{},\"{}\":{}}}\n", object.substr(0, object.size() - 1), name, value);
  if (::write(file_.get(), line.data(), line.size()) < 0) return;
}

std::string json_string(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::uint64_t wall_clock_now() {
  using std::chrono::duration_cast;
  using std::chrono::nanoseconds;
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(duration_cast<nanoseconds>(since_1970).count());
}

}  // namespace holdfast::node
