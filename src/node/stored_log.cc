#include "node/stored_log.h"

#include "location/directory.h"

namespace holdfast::node {

Result<StoredLog> StoredLog::open(const std::vector<std::string>& directories) {
  StoredLog stored;
  std::vector<location::Location*> all;
  for (const auto& path : directories) {
    auto directory = location::open_directory_for_reading(path);
    if (!directory) {
      stored.problems_.push_back(directory.error());
      continue;
    }
    stored.locations_.push_back(*std::move(directory));
    all.push_back(stored.locations_.back().get());
  }
  if (all.empty()) return std::unexpected(stored.problems_.front());
  auto reader = log::Reader::open(all);
  if (!reader) return std::unexpected(reader.error());
  stored.reader_ = *std::move(reader);
  return stored;
}

}  // namespace holdfast::node
