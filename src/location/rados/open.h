// Opens a log's pool from its address.
#pragma once

#include <memory>

#include "location/rados/address.h"
#include "location/rados/pool.h"
#include "location/ring.h"

namespace holdfast::location::rados {

// For the writer; connects, and neither creates nor takes anything yet. `ring` must outlive the location. kUsage: the
// pool guarantees fewer copies than the address asks for; what it guarantees is asked here, and not again.
Result<std::unique_ptr<Pool>> open_pool(const Address& address, Self self, Ring& ring);
// For readers. `owned`: its owner is known to live, as this very process does: a reader that waits to see a renewal
// would keep its own process from renewing.
Result<std::unique_ptr<Location>> open_pool_for_reading(const Address& address, Ring& ring, bool owned = false);

}  // namespace holdfast::location::rados
