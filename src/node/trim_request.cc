#include "node/trim_request.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <thread>

#include "location/rados/address.h"
#include "location/unique_fd.h"
#include "node/output.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

// Named like blobs, which a directory may hold.
std::string request_file(const std::string& directory) { return directory + "/trim-request.blob"; }
std::string answer_file(const std::string& directory) { return directory + "/trim-answer.blob"; }

// Two numbers in a line, "ID FIRST_KEPT"; nullopt where there is no such file, or something else in it.
std::optional<std::pair<std::uint64_t, std::uint64_t>> read_numbers(const std::string& path) {
  const location::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) return std::nullopt;
  std::array<char, 64> text{};
  const ssize_t length = ::read(file.get(), text.data(), text.size() - 1);
  if (length <= 0) return std::nullopt;
  unsigned long long id = 0, number = 0;
  char end = 0;
  if (std::sscanf(text.data(), "%llu %llu%c", &id, &number, &end) != 3 || end != '\n') return std::nullopt;
  return std::pair<std::uint64_t, std::uint64_t>{id, number};
}

Result<void> write_numbers(const std::string& path, std::uint64_t id, std::uint64_t number) {
  const std::string temporary = path + ".tmp";
  const location::UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  const bool done = file.get() >= 0 && write_all(file.get(), fmt::format("{} {}\n", id, number)).has_value() &&
                    ::rename(temporary.c_str(), path.c_str()) == 0;
  if (done) return {};
  return fail(Error::Kind::kIo, fmt::format("{}: cannot be written: {}", path, std::generic_category().message(errno)));
}

}  // namespace

Result<TrimAnswer> ask_for_trim(const std::string& directory, const TrimRequest& request, Duration bound) {
  const std::string answer = answer_file(directory);
  if (auto asked = write_numbers(request_file(directory), request.id, request.first_kept.value); !asked) {
    return std::unexpected(asked.error());
  }
  const Time until = shard::monotonic_now() + bound;
  while (shard::monotonic_now() < until) {
    if (const auto found = read_numbers(answer); found && found->first == request.id) {
      (void)::unlink(answer.c_str());
      return TrimAnswer{found->first, SegmentNumber{found->second}};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  (void)::unlink(request_file(directory).c_str());
  return fail(Error::Kind::kTimeout, fmt::format("{}: the node does not answer: it may still do it", directory));
}

void TrimRequests::look(const std::vector<std::string>& directories, log::Log& log) {
  if (under_way_) {
    if (!log.release_settled()) return;
    const SegmentNumber first_kept = log.released().first_kept;
    (void)::unlink(request_file(directory_).c_str());
    if (auto done = write_numbers(answer_file(directory_), under_way_->id, first_kept.value); !done) {
      spdlog::warn("a trim was done and cannot be answered: {}", done.error().message);
    }
    spdlog::info("trimmed on request: segments from {} on are kept", first_kept.value);
    under_way_.reset();
    return;
  }
  for (const auto& directory : directories) {
    if (location::rados::is_address(directory)) continue;
    const auto found = read_numbers(request_file(directory));
    if (!found) continue;
    directory_ = directory;
    under_way_ = TrimRequest{found->first, SegmentNumber{found->second}};
    log.release_before(under_way_->first_kept);
    return;
  }
}

}  // namespace holdfast::node
