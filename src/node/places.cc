#include "node/places.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "location/absent.h"
#include "location/rados/open.h"
#include "log/format.h"
#include "node/entropy.h"

namespace holdfast::node {

// A head says which format its log has.
static_assert(location::rados::kNewestFormat == log::kFormat);

Result<location::rados::Address> pool_address(const std::string& given, const std::string& group) {
  auto address = location::rados::parse_address(given);
  if (!address) return fail(Error::Kind::kUsage, fmt::format("--data {}: {}", given, address.error()));
  if (!group.empty()) address->log = group;
  return *std::move(address);
}

Result<Places> open_places(const std::vector<std::string>& names, const std::string& group,
                           const location::rados::Self& self, location::Ring& ring) {
  Places places;
  // Adds what was opened, and returns it; null where it is absent.
  const auto add = [&](const std::string& name, auto opened) -> Result<decltype(opened->get())> {
    if (opened) {
      auto* const location = opened->get();
      places.locations.push_back(*std::move(opened));
      return location;
    }
    if (names.size() == 1 || opened.error().kind == Error::Kind::kUsage) return std::unexpected(opened.error());
    places.locations.push_back(std::make_unique<location::Absent>(name, opened.error()));
    return nullptr;
  };
  for (const auto& name : names) {
    if (!location::rados::is_address(name)) {
      const auto directory = add(name, location::open_directory(name, ring));
      if (!directory) return std::unexpected(directory.error());
      if (*directory != nullptr) places.directories.push_back(*directory);
      continue;
    }
    const auto address = pool_address(name, group);
    if (!address) return std::unexpected(address.error());
    const auto pool = add(address->place(), location::rados::open_pool(*address, self, ring));
    if (!pool) return std::unexpected(pool.error());
    if (*pool != nullptr) places.pools.push_back(*pool);
  }
  return places;
}

location::rados::Self who_we_are(std::uint64_t identity) {
  location::rados::Self self;
  self.identity = fmt::format("{:016x}", identity != 0 ? identity : draw_seed());
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) == 0) self.host = host;
  std::erase_if(self.host, [](char c) { return c <= ' ' || c > '~'; });
  self.process = static_cast<std::uint64_t>(::getpid());
  return self;
}

}  // namespace holdfast::node
