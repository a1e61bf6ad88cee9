// The places of a log, opened: directories and pools.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "location/directory.h"
#include "location/rados/address.h"
#include "location/rados/pool.h"
#include "location/ring.h"

namespace holdfast::node {

struct Places {
  std::vector<std::unique_ptr<location::Location>> locations;  // in the order given; Absent where one cannot be opened
  // Of these, as long as whoever has them keeps them.
  std::vector<location::rados::Pool*> pools;
  std::vector<const location::Directory*> directories;
};

// A pool's address as it was given with --data; with `group` the log's name is that. kUsage.
Result<location::rados::Address> pool_address(const std::string& given, const std::string& group = {});

// Opens, and takes nothing yet; connects to the clusters of pools, which blocks. One of several that cannot be opened
// is absent, and no error. `group`: names the log in its pools; empty: as their addresses have it.
Result<Places> open_places(const std::vector<std::string>& names, const std::string& group,
                           const location::rados::Self& self, location::Ring& ring);

// This process, as the head of a pool's log names it. `identity`: that of the node, over its restarts; 0: this process
// is the only one of its node.
location::rados::Self who_we_are(std::uint64_t identity);

}  // namespace holdfast::node
