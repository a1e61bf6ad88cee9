#include "location/rados/open.h"

#include <utility>

#include "location/rados/librados_store.h"
#include "location/rados/pool_reader.h"

namespace holdfast::location::rados {

Result<std::unique_ptr<Pool>> open_pool(const Address& address, Self self, Ring& ring) {
  auto store = open_store(address, ring);
  if (!store) return std::unexpected(store.error());
  return std::make_unique<Pool>(address.place(), address.log, *std::move(store), std::move(self));
}

Result<std::unique_ptr<Location>> open_pool_for_reading(const Address& address, Ring& ring) {
  auto store = open_store(address, ring);
  if (!store) return std::unexpected(store.error());
  return read_pool(address.place(), address.log, *std::move(store));
}

}  // namespace holdfast::location::rados
