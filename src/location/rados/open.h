// Opens a log's pool from its address.
#pragma once

#include <memory>

#include "location/rados/address.h"
#include "location/rados/pool.h"
#include "location/ring.h"

namespace holdfast::location::rados {

// For the writer; connects, and neither creates nor takes anything yet. `ring` must outlive the location.
Result<std::unique_ptr<Pool>> open_pool(const Address& address, Self self, Ring& ring);
// For readers.
Result<std::unique_ptr<Location>> open_pool_for_reading(const Address& address, Ring& ring);

}  // namespace holdfast::location::rados
