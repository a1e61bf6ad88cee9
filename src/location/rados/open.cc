#include "location/rados/open.h"

#include <fmt/core.h>

#include <utility>

#include "location/rados/librados_store.h"
#include "location/rados/pool_reader.h"

namespace holdfast::location::rados {
namespace {

std::unexpected<Error> too_few(const Address& address, const Replication& replication) {
  if (replication.min_size > 1 || address.copies > 2) {
    return fail(Error::Kind::kUsage,
                fmt::format("{}: the pool goes on with {} of its {} copies (min_size), and copies={} was asked for: "
                            "`ceph osd pool set {} min_size {}`, or ask for fewer",
                            address.place(), replication.min_size, replication.size, address.copies, address.pool,
                            address.copies));
  }
  return fail(Error::Kind::kUsage,
              fmt::format("{}: the pool goes on with one copy (min_size 1): what is acknowledged then is lost with one "
                          "disk: `ceph osd pool set {} min_size 2`, or write copies=1 to its address if you mean it",
                          address.place(), address.pool));
}

}  // namespace

Result<std::unique_ptr<Pool>> open_pool(const Address& address, Self self, Ring& ring) {
  auto cluster = Cluster::connect(address);
  if (!cluster) return std::unexpected(cluster.error());
  const auto replication = (*cluster)->replication();
  if (!replication) {
    return fail(replication.error().kind, fmt::format("{}: {}", address.place(), replication.error().message));
  }
  if (replication->min_size < address.copies) return too_few(address, *replication);
  auto pool =
      std::make_unique<Pool>(address.place(), address.log, make_store(*std::move(cluster), ring), std::move(self));
  pool->set_replication(*replication);
  return pool;
}

Result<std::unique_ptr<Location>> open_pool_for_reading(const Address& address, Ring& ring, bool owned) {
  auto store = open_store(address, ring);
  if (!store) return std::unexpected(store.error());
  return read_pool(address.place(), address.log, *std::move(store), owned);
}

}  // namespace holdfast::location::rados
