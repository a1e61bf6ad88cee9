#include "node/trim_request.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <thread>
#include <utility>

#include "location/rados/address.h"
#include "location/rados/open.h"
#include "location/unique_fd.h"
#include "node/output.h"
#include "node/places.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

constexpr Duration kLookForAnswer = std::chrono::milliseconds(50);

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

Result<SegmentNumber> ask_for_trim(const std::string& directory, const Trim& request, Duration bound) {
  const std::string answer = answer_file(directory);
  if (auto asked = write_numbers(request_file(directory), request.id, request.first_kept.value); !asked) {
    return std::unexpected(asked.error());
  }
  const Time until = shard::monotonic_now() + bound;
  while (shard::monotonic_now() < until) {
    if (const auto found = read_numbers(answer); found && found->first == request.id) {
      (void)::unlink(answer.c_str());
      return SegmentNumber{found->second};
    }
    std::this_thread::sleep_for(kLookForAnswer);
  }
  (void)::unlink(request_file(directory).c_str());
  return fail(Error::Kind::kTimeout, fmt::format("{}: the node does not answer: it may still do it", directory));
}

Result<SegmentNumber> ask_pool_for_trim(const std::string& address, const Trim& request, Duration bound) {
  const auto parsed = pool_address(address, {});
  if (!parsed) return std::unexpected(parsed.error());
  auto ring = location::Ring::create();
  if (!ring) return std::unexpected(ring.error());
  auto opened = location::rados::open_pool(*parsed, who_we_are(0), **ring);
  if (!opened) return std::unexpected(opened.error());
  location::rados::Pool& pool = **opened;
  const auto before = pool.look_at_owner();
  if (!before) return std::unexpected(before.error());
  const auto heard = pool.ask_to_trim(*before, request);
  if (!heard) return std::unexpected(heard.error());
  const Time until = shard::monotonic_now() + bound;
  bool same_owner = *heard;
  while (same_owner && shard::monotonic_now() < until) {
    const auto head = pool.look_at_owner();
    if (!head) return std::unexpected(head.error());
    same_owner = head->epoch == before->epoch;
    if (same_owner && head->trim_done && head->trim_done->id == request.id) return head->trim_done->first_kept;
    pool.store().wait(pool.store().now() + kLookForAnswer);
  }
  if (same_owner) {
    return fail(Error::Kind::kTimeout, fmt::format("{}: the node does not answer: it may still do it", pool.name()));
  }
  return fail(Error::Kind::kBusy, fmt::format("{}: another node has taken over just now: try again", pool.name()));
}

void TrimRequests::look(location::rados::Pool& pool, const location::rados::Head& head) {
  const auto& asked = head.trim_asked;
  const bool done = asked && head.trim_done && head.trim_done->id == asked->id;
  if (!asked || done || asked->id == answered_ || (under_way_ && under_way_->trim.id == asked->id)) return;
  waiting_ = Request{*asked, &pool, {}};
}

std::optional<TrimRequests::Request> TrimRequests::next(const std::vector<std::string>& directories) {
  if (waiting_) return std::exchange(waiting_, std::nullopt);
  for (const auto& directory : directories) {
    if (location::rados::is_address(directory)) continue;
    const auto found = read_numbers(request_file(directory));
    if (found) return Request{{found->first, SegmentNumber{found->second}}, nullptr, directory};
  }
  return std::nullopt;
}

void TrimRequests::answer(SegmentNumber first_kept) {
  const auto& [asked, pool, directory] = *under_way_;
  if (pool != nullptr) {
    answered_ = asked.id;
    pool->answer_trim({asked.id, first_kept});
    return;
  }
  (void)::unlink(request_file(directory).c_str());
  if (auto done = write_numbers(answer_file(directory), asked.id, first_kept.value); !done) {
    spdlog::warn("a trim was done and cannot be answered: {}", done.error().message);
  }
}

void TrimRequests::look(const std::vector<std::string>& directories, log::Log& log) {
  if (under_way_) {
    if (!log.release_settled()) return;
    const SegmentNumber first_kept = log.released().first_kept;
    answer(first_kept);
    spdlog::info("trimmed on request: segments from {} on are kept", first_kept.value);
    under_way_.reset();
    return;
  }
  under_way_ = next(directories);
  if (under_way_) log.release_before(under_way_->trim.first_kept);
}

}  // namespace holdfast::node
