#include "node/stored_log.h"

#include "location/directory.h"
#include "location/rados/open.h"
#include "node/places.h"

namespace holdfast::node {

Result<StoredLog> StoredLog::open(const std::vector<std::string>& places, Owner owner) {
  StoredLog stored;
  const auto open_place = [&](const std::string& place) -> Result<std::unique_ptr<location::Location>> {
    if (!location::rados::is_address(place)) return location::open_directory_for_reading(place);
    const auto address = pool_address(place);
    if (!address) return std::unexpected(address.error());
    if (!stored.ring_) {
      auto ring = location::Ring::create();
      if (!ring) return std::unexpected(ring.error());
      stored.ring_ = *std::move(ring);
    }
    return location::rados::open_pool_for_reading(*address, *stored.ring_, owner == Owner::kUs);
  };
  std::vector<location::Location*> all;
  for (const auto& place : places) {
    auto opened = open_place(place);
    if (!opened) {
      stored.problems_.push_back(opened.error());
      continue;
    }
    stored.locations_.push_back(*std::move(opened));
    all.push_back(stored.locations_.back().get());
  }
  if (all.empty()) return std::unexpected(stored.problems_.front());
  auto reader = log::Reader::open(all);
  if (!reader) return std::unexpected(reader.error());
  stored.reader_ = *std::move(reader);
  return stored;
}

}  // namespace holdfast::node
