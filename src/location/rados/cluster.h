// A connection to a Ceph cluster, and a pool in it.
//
// Threads: one, except where a function says otherwise.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "location/rados/address.h"
#include "location/rados/librados_api.h"

namespace holdfast::location::rados {

// A pool keeps `size` copies of each object, and takes no writes where fewer than `min_size` can be reached: so many
// has what it has stored.
struct Replication {
  unsigned size = 0, min_size = 0;
};

class Cluster {
 public:
  // Blocks, ten seconds at the most where the cluster's configuration sets no other bound (client_mount_timeout).
  // Operations end after five seconds at the most, likewise (rados_osd_op_timeout, rados_mon_op_timeout).
  static Result<std::unique_ptr<Cluster>> connect(const Address& address);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  const Librados& api() const { return api_; }
  rados_t handle() const { return handle_; }
  rados_ioctx_t io() const { return io_; }
  const std::string& own_address() const { return own_address_; }

  // A monitor's answer to a command in JSON; blocks.
  Result<std::string> ask_monitor(const std::string& command) const;
  // How the pool replicates; blocks.
  Result<Replication> replication() const;
  // Puts a client on the blocklist; in the background, and only as well as it goes (it takes the capability "profile
  // rbd", or "osd blocklist" of its own).
  void shut_out(const std::string& client, unsigned seconds);

 private:
  explicit Cluster(const Librados& api) : api_(api) {}
  Result<void> open(const Address& address);

  const Librados& api_;
  rados_t handle_ = nullptr;
  bool connected_ = false;
  rados_ioctx_t io_ = nullptr;
  std::string pool_, own_address_;
  std::vector<std::jthread> errands_;
};

}  // namespace holdfast::location::rados
