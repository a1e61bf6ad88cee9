#include "node/limits.h"

#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>

#include "location/directory.h"

namespace holdfast::node {
namespace {

constexpr rlim_t kOwn = 40;            // device, ring, pipes, captures, events, libraries
constexpr rlim_t kBesideSegments = 8;  // of a directory
constexpr rlim_t kEnough = 65536;

}  // namespace

Result<void> raise_descriptor_limit(std::size_t directories) {
  const rlim_t needed = kOwn + directories * (2 * location::Directory::kMaxIdle + kBesideSegments);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  const rlim_t wanted = std::min(limit.rlim_max, std::max(needed, kEnough));
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = wanted;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= needed) return {};
  return fail(
      Error::Kind::kUnavailable,
      fmt::format("at most {} open files are allowed, {} are needed for {} director{}: raise the limit (ulimit -n, "
                  "LimitNOFILE=)",
                  limit.rlim_cur, needed, directories, directories == 1 ? "y" : "ies"));
}

}  // namespace holdfast::node
