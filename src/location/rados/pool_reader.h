// A pool for readers: beside its owner, or without one. Never creates, takes or writes anything.
#pragma once

#include <memory>

#include "location/location.h"
#include "location/rados/object_store.h"

namespace holdfast::location::rados {

// `store` looks at the objects of `log`; the rest as in pool.h. `owned`: see open_pool_for_reading().
std::unique_ptr<Location> read_pool(std::string place, std::string log, std::unique_ptr<ObjectStore> store,
                                    bool owned = false);

}  // namespace holdfast::location::rados
