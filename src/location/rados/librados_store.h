// ObjectStore over librados.
//
// Threads: the shard's; librados' own threads only put what has ended into a list, and wake the shard's ring.
#pragma once

#include <memory>

#include "location/rados/address.h"
#include "location/rados/cluster.h"
#include "location/rados/object_store.h"
#include "location/ring.h"

namespace holdfast::location::rados {

// Connects to the cluster and opens the pool: blocks, ten seconds at the most where nobody answers (or as the cluster's
// configuration has it: client_mount_timeout). `ring` must outlive the store.
Result<std::unique_ptr<ObjectStore>> open_store(const Address& address, Ring& ring);
// The same over a connection that there is.
std::unique_ptr<ObjectStore> make_store(std::unique_ptr<Cluster> cluster, Ring& ring);

}  // namespace holdfast::location::rados
