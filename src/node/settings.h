// What `holdfast serve` can be told. One table describes every setting: the command line's flags and the configuration
// file's keys are both made from it, so each key has a flag of the same name and means the same.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "cluster/bucket.h"
#include "log/log.h"
#include "node/values.h"
#include "stack/engine.h"

namespace holdfast::node {

// What a worker has of an address.
struct BucketPart {
  cluster::Buckets buckets;
  cluster::Bucket bucket = 0;
};

struct ServeOptions {
  LinkAddress link;
  wire::Ipv4Prefix address;
  std::optional<wire::Ipv4Address> gateway;
  std::optional<wire::Ipv4Prefix> host_address;
  std::vector<std::string> data;  // directories and pools: one location each
  bool is_volatile = false;       // no data: "stored" means "in memory"
  std::vector<stack::Service> services;
  log::Options log;
  tcp::Config tcp;
  Duration stall_after = std::chrono::seconds(2);
  std::uint32_t max_connections = 131072;
  std::uint32_t max_half_open = 1024;
  std::string group;     // service group, which is the log's name in its pools; empty: a node by itself
  bool standby = false;  // would rather not be the owner
  // One address over several nodes (node/bucket_node.h): the service group is that of all buckets.
  std::uint32_t buckets = 0;                     // 0: the address is one node's at a time
  std::optional<wire::Ipv4Prefix> node_address;  // this node's own, for a router in front
  std::optional<BucketPart> part;                // of this process, a worker: no setting
  Duration lease = std::chrono::seconds(2);
  bool nudge = false;
  bool no_keeper = false;
  std::uint64_t identity = 0;  // drawn by the keeper for all its nodes: no setting
  std::string pcap;            // a file; empty: no capture
  std::string events;          // a file; empty: none
  std::string log_level = "info";
};

struct Setting {
  const char* name;   // flag "--name", key "name"
  const char* value;  // how the value is shown in the help; empty: a switch ("true" or "false" in the file)
  const char* group;  // heading in the help
  const char* help;
  bool repeatable = false;
  Parsed<void> (*apply)(ServeOptions& options, const std::string& value) = nullptr;
};

std::span<const Setting> serve_settings();

// What no single setting can tell: contradictions and omissions. kUsage.
Result<void> check(const ServeOptions& options);
// Of these, what concerns the log.
Result<void> check_storage(const ServeOptions& options);

}  // namespace holdfast::node
